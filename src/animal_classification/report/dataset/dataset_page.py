"""The page, put together."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path

from animal_classification.common.text_files import write_text
from animal_classification.data.manifest import Manifest
from animal_classification.data.quality.findings import ADVICE, KINDS, Finding
from animal_classification.data.quality.inspection import Inspection
from animal_classification.data.summary import DatasetSummary, summarise
from animal_classification.report.dataset.dataset_plots import class_bars, size_scatter
from animal_classification.report.dataset.thumbnails import thumbnail

# A page that a browser opens at once: the JSON has the rest.
MOST_FINDINGS = 60
MOST_PHOTOS = 6
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body><main>
<h1>{title}</h1><p class="soft">{where} · data version {version}</p>
{cards}{notes}
<div class="pair"><section><h2>Photos per class</h2>{bars}</section>
<section><h2>Sizes</h2>{sizes}<p class="soft">{formats}</p></section></div>
{findings}
</main></body></html>
"""


def write_page(inspection: Inspection, source: str, target: Path) -> None:
    """Write the page; a file of that name is replaced in one step.

    Raises:
        OutputError: The system refuses.
    """
    write_text(render(inspection, source), target)


def render(inspection: Inspection, source: str) -> str:
    """The page as text."""
    summary, manifest = summarise(inspection), inspection.manifest
    formats = ", ".join(f"{count} {name}" for name, count in summary.formats.most_common())
    return _PAGE.format(
        title=escape(f"Photos in {source}"),
        style=files(__package__).joinpath("style.css").read_text(encoding="utf-8"),
        where=escape(str(manifest.root.absolute())),
        version=manifest.version,
        cards=_cards(summary, len(inspection.findings)),
        notes=_notes(inspection),
        bars=class_bars(summary),
        sizes=size_scatter(manifest.usable),
        formats=escape(formats),
        findings="".join(_section(kind, inspection) for kind in KINDS if inspection.counts()[kind]) or _ALL_WELL,
    )


_ALL_WELL = (
    "<section><h2>Findings</h2><p>None: nothing that is looked for here is wrong with these photos.</p></section>"
)


def _cards(summary: DatasetSummary, findings: int) -> str:
    numbers = {
        "photos": f"{summary.photos:,}",
        "usable": f"{summary.usable:,}",
        "classes": f"{len(summary.classes):,}",
        "findings": f"{findings:,}",
        "megabytes": f"{summary.bytes / 1e6:,.1f}",
        "pixels, shorter side": f"{summary.sides.middle:,.0f}" if summary.sides else "–",
    }
    if summary.groups:
        numbers["groups"] = f"{summary.groups:,}"
    return f'<div class="cards">{"".join(f"<div><b>{n}</b>{escape(name)}</div>" for name, n in numbers.items())}</div>'


def _notes(inspection: Inspection) -> str:
    notes = [*inspection.manifest.notes, *(f"not looked for: {what}" for what in inspection.not_looked_for)]
    return f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""


def _section(kind: str, inspection: Inspection) -> str:
    found = [finding for finding in inspection.findings if finding.kind == kind]
    title = f'<h2 id="{kind}">{KINDS[kind].capitalize()} <small>{len(found)}</small></h2>'
    if kind in ADVICE:
        lines = "".join(f'<li class="{finding.severity}">{escape(finding.explanation)}</li>' for finding in found)
        return f"<section>{title}<ul>{lines}</ul></section>"
    shown = "".join(_finding(finding, inspection.manifest) for finding in found[:MOST_FINDINGS])
    rest = len(found) - MOST_FINDINGS
    more = f'<p class="soft">and {rest} more: animals data inspect --json lists them all</p>' if rest > 0 else ""
    return f'<section>{title}<div class="findings">{shown}</div>{more}</section>'


def _finding(finding: Finding, manifest: Manifest) -> str:
    photos = "".join(_figure(path, manifest) for path in finding.paths[:MOST_PHOTOS])
    return (
        f'<div class="finding"><p class="{finding.severity}">{escape(finding.explanation)}</p>'
        f'<div class="thumbs">{photos}</div></div>'
    )


def _figure(path: str, manifest: Manifest) -> str:
    url = thumbnail(manifest.root / path)
    picture = f'<img src="{url}" alt="">' if url else '<div class="gone">no picture</div>'
    return f"<figure>{picture}<figcaption>{escape(path)}</figcaption></figure>"

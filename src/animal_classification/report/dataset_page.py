"""An inspection of photos as one HTML page that needs nothing else: no script, no network, no other file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from math import log10
from pathlib import Path

from animal_classification.common.text_files import write_text
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.quality.findings import ADVICE, KINDS, Finding
from animal_classification.data.quality.inspection import Inspection
from animal_classification.data.summary import DatasetSummary, summarise
from animal_classification.report.pictures import thumbnail

# A page that a browser opens at once: the JSON has the rest.
MOST_FINDINGS = 60
MOST_PHOTOS = 6
_SIDE = 132
_WIDTH, _HEIGHT, _MARGIN = 400, 300, 40
_MOST_POINTS = 3000
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
        style=files(__package__).joinpath("templates/page.css").read_text(encoding="utf-8"),
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
    url = thumbnail(manifest.root / path, _SIDE)
    picture = f'<img src="{url}" alt="">' if url else '<div class="gone">no picture</div>'
    return f"<figure>{picture}<figcaption>{escape(path)}</figcaption></figure>"


def class_bars(summary: DatasetSummary) -> str:
    """A bar for each class, divided by split."""
    totals = {name: counts.total() for name, counts in summary.classes.items()}
    most = max(totals.values(), default=0) or 1
    lines = []
    for name in sorted(totals, key=lambda name: (-totals[name], name)):
        parts = "".join(
            f'<i class="{split or "none"}" style="width:{100 * summary.classes[name][split] / most:.2f}%"></i>'
            for split in summary.splits
        )
        shown = escape(name)
        lines.append(f'<span class="name" title="{shown}">{shown}</span><span class="bar">{parts}</span>')
        lines.append(f"<span>{totals[name]}</span>")
    return f'{_key(summary)}<div class="bars">{"".join(lines)}</div>'


def size_scatter(rows: Sequence[ManifestRow]) -> str:
    """Width against height, both logarithmic, a dot for each photo."""
    sizes = [(row.width, row.height) for row in rows if row.width and row.height]
    if not sizes:
        return '<p class="soft">No photo could be read.</p>'
    sizes = sizes[:: -(-len(sizes) // _MOST_POINTS)]
    numbers = [number for size in sizes for number in size]
    low, high = log10(min(numbers)) - 0.05, log10(max(numbers)) + 0.05

    def across(number: float) -> float:
        return _MARGIN + (log10(number) - low) / (high - low) * (_WIDTH - _MARGIN - 10)

    def up(number: float) -> float:
        return _HEIGHT - _MARGIN - (log10(number) - low) / (high - low) * (_HEIGHT - _MARGIN - 10)

    grid = []
    for tick in _ticks(low, high):
        x, y = across(tick), up(tick)
        grid.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="10" y2="{_HEIGHT - _MARGIN}"/>')
        grid.append(f'<line x1="{_MARGIN}" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}"/>')
        grid.append(f'<text x="{x:.1f}" y="{_HEIGHT - _MARGIN + 14}" text-anchor="middle">{tick}</text>')
        grid.append(f'<text x="{_MARGIN - 5}" y="{y + 4:.1f}" text-anchor="end">{tick}</text>')
    dots = "".join(f'<circle cx="{across(w):.1f}" cy="{up(h):.1f}" r="3"/>' for w, h in sizes)
    axes = f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 8}" text-anchor="middle">width in pixels; upwards: height</text>'
    name = f"Widths and heights of {len(sizes)} photos: {min(numbers)} to {max(numbers)} pixels"
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{name}">{"".join(grid)}{dots}{axes}</svg>'


def _ticks(low: float, high: float) -> list[int]:
    candidates = [step * 10**power for power in range(6) for step in (1, 2, 5)]
    return [tick for tick in candidates if low <= log10(tick) <= high]


def _key(summary: DatasetSummary) -> str:
    if summary.splits in ([""], []):
        return ""
    words = (f'<span class="key {split or "none"}"></span>{split or "no split"}' for split in summary.splits)
    return f'<p class="soft">{"".join(words)}</p>'

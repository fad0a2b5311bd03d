"""An inspection as lines for a terminal. Names are given as they are: whoever prints makes them harmless."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len

from animal_classification.data.quality.findings import KINDS, Finding
from animal_classification.data.quality.inspection import Inspection
from animal_classification.data.summary import summarise

SHOWN = 5
PATHS_SHOWN = 4


def table_lines(counts: Mapping[str, Counter[str]], splits: Sequence[str]) -> Iterator[str]:
    """Classes by splits, with sums."""
    shown = list(splits) if len(splits) > 1 else []
    rows = [["class", *(split or "no split" for split in shown), "photos"]]
    rows += [[name, *(str(found[split]) for split in shown), str(found.total())] for name, found in counts.items()]
    sums = sum(counts.values(), Counter[str]())
    rows.append(["all", *(str(sums[split]) for split in shown), str(sums.total())])
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        name = row[0] + " " * (widths[0] - cell_len(row[0]))
        yield "  ".join([name, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])


def summary_lines(inspection: Inspection) -> Iterator[str]:
    """What there is."""
    summary, manifest = summarise(inspection), inspection.manifest
    yield from table_lines(summary.classes, summary.splits)
    yield ""
    formats = ", ".join(f"{count} {name}" for name, count in summary.formats.most_common())
    yield f"{summary.usable} of {summary.photos} photos usable, {summary.bytes / 1e6:.1f} MB: {formats or 'none'}"
    if sides := summary.sides:
        yield f"shorter side {sides.least:.0f} to {sides.most:.0f} pixels, median {sides.middle:.0f}"
    yield f"data version {manifest.version}"
    yield from (f"note: {note}" for note in manifest.notes)


def finding_lines(inspection: Inspection) -> Iterator[str]:
    """What is wrong with it, a few of each kind."""
    for kind, count in inspection.counts().items():
        yield f"{KINDS[kind]}: {count}"
        for finding in [finding for finding in inspection.findings if finding.kind == kind][:SHOWN]:
            yield f"  {_line(finding)}"
        if count > SHOWN:
            yield f"  … and {count - SHOWN} more (--json has all, --html shows them)"
    if not inspection.findings:
        yield "nothing wrong was found"


def _line(finding: Finding) -> str:
    if not finding.paths:
        return finding.explanation
    more = f" and {len(finding.paths) - PATHS_SHOWN} more" if len(finding.paths) > PATHS_SHOWN else ""
    return f"{', '.join(finding.paths[:PATHS_SHOWN])}{more}: {finding.explanation}"

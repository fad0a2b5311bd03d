"""``animals evaluate``: how good a model is on labelled photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from animal_classification.cli.data import SPLITS, source_options
from animal_classification.common.console import printable, say
from animal_classification.inference.engine import ENGINES, installed_engine

if TYPE_CHECKING:
    from animal_classification.data.sources import SourceOptions
    from animal_classification.evaluation.result import Evaluation

_ERRORS_SHOWN = 20


@click.command(name="evaluate", context_settings={"show_default": True})
@click.argument("model")
@source_options
@click.option("--split", type=click.Choice(SPLITS), default="test", help="Which photos of SOURCE.")
@click.option(
    "--unknown", multiple=True, metavar="PATH", help="Photos of none of the classes: a folder or file; may be repeated."
)
@click.option("--compare", metavar="MODEL", help="Another model, on the same photos.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write everything as JSON."
)
@click.option(
    "--report", metavar="PATH", type=click.Path(path_type=Path), help="Write a page: a folder, or a name in .html."
)
@click.option("--engine", type=click.Choice(ENGINES), default="auto", help="What runs the model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else, for scripts.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no notes.")
def command(
    *,
    model: str,
    source: str,
    options: SourceOptions,
    split: str,
    unknown: tuple[str, ...],
    compare: str | None,
    output: Path | None,
    report: Path | None,
    engine: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say how good MODEL is on the labelled photos of SOURCE.

    SOURCE is whatever `animals data` reads; its labels are matched to the model's by id or name. Photos of other labels
    count as unknown ones. Where SOURCE is what the model was trained on, the photos that were held out are taken.

    \b
    animals evaluate runs/…/bundle photos
    animals evaluate photos my-photos --unknown things --output evaluation.json
    animals evaluate runs/…/bundle photos --report report
    animals evaluate runs/new/bundle photos --compare runs/old/bundle
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from datetime import UTC, datetime

    from animal_classification.common.stages import Stages
    from animal_classification.evaluation.metrics import require
    from animal_classification.report.commands import load
    from animal_classification.report.report_inputs import ReportInputs, measure, reading_of

    require()
    installed_engine(engine)
    if report is not None:
        from animal_classification.report import page

        page.require()
    recipe = ReportInputs(
        created=datetime.now(UTC).replace(microsecond=0),
        model=model,
        source=source,
        split=split,
        unknown=unknown,
        compare=compare,
        engine=engine,
        **reading_of(options),
    )
    with Stages(shown=not quiet) as progress:
        measured = measure(recipe, load, progress, options.cache)
        result = measured.result
        if report is not None:
            from animal_classification.report.writer import write_report

            written = write_report(measured, report)
    if output is not None:
        result.write(output)
    _complain(result)
    if as_json:
        click.echo(json.dumps(result.summary(), ensure_ascii=False))
        return
    from animal_classification.evaluation.terminal_text import summary_lines

    for line in summary_lines(result):
        click.echo(printable(line))
    if not quiet:
        for note in result.notes:
            say(f"animals: {printable(note)}")
    if output is not None:
        say(f"animals: everything is in {printable(str(output))}")
    if report is not None:
        say(f"animals: the report is {printable(str(written.page))}, with a model card beside it")


def _complain(result: Evaluation) -> None:
    """A line for each photo that could not be used."""
    bad = [row for row in result.photos if row.error is not None]
    for row in bad[:_ERRORS_SHOWN]:
        say(f"animals: {printable(row.path)}: {printable(row.error or '')}")
    if len(bad) > _ERRORS_SHOWN:
        say(f"animals: … and {len(bad) - _ERRORS_SHOWN} more that could not be used (--output has all)")

"""``animals evaluate``: how good a model is on labelled photos."""

# Imported where they are used: `--help` must not wait for NumPy, Pillow and an engine.

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from animal_classification.cli.options import (
    SPLITS,
    compare_option,
    engine_option,
    json_option,
    quiet_option,
    source_options,
    unknown_option,
)
from animal_classification.cli.output import print_json, print_lines, print_notes
from animal_classification.common.progress import ProgressLine
from animal_classification.common.text_files import refuse_foreign

if TYPE_CHECKING:
    from animal_classification.data.sources import SourceOptions
    from animal_classification.evaluation.result import Evaluation

_ERRORS_SHOWN = 20


@click.command(name="evaluate", context_settings={"show_default": True})
@click.argument("model")
@source_options
@click.option("--split", type=click.Choice(SPLITS), default="test", help="Which photos of SOURCE.")
@unknown_option
@compare_option
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write everything as JSON."
)
@click.option(
    "--report", metavar="PATH", type=click.Path(path_type=Path), help="Write a page: a folder, or a name in .html."
)
@click.option("--drift", is_flag=True, help="Also under fifteen changes: darkness, fog, blur, … (16 times the work).")
@engine_option
@json_option
@quiet_option
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
    drift: bool,
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
    animals evaluate runs/…/bundle photos --drift --report report
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.evaluation.metrics import require
    from animal_classification.inference.engine import installed_engine
    from animal_classification.report.commands import load
    from animal_classification.report.report_inputs import ReportInputs, measure, reading_of

    require()
    installed_engine(engine)
    if output is not None:
        refuse_foreign(output, lambda content: content.startswith(b"{") and b'"model"' in content, "evaluation")
    if report is not None:
        from animal_classification.report import page
        from animal_classification.report.writer import check_report_target

        page.require()
        check_report_target(report)
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
    with ProgressLine(shown=not quiet) as progress:
        measured = measure(recipe, load, progress, options.cache)
        if drift:
            from animal_classification.monitoring.drift.robustness import with_robustness

            measured = with_robustness(measured, progress, options.cache)
        result = measured.result
        if report is not None:
            from animal_classification.report.writer import write_report

            written = write_report(measured, report)
    if output is not None:
        result.write(output)
    print_notes(_errors(result))
    if as_json:
        print_json(result.summary())
        return
    from animal_classification.evaluation.terminal_text import summary_lines

    print_lines(summary_lines(result))
    if not quiet:
        print_notes(result.notes)
    if output is not None:
        print_notes([f"everything is in {output}"])
    if report is not None:
        print_notes([f"the report is {written.page}, with a model card beside it"])


def _errors(result: Evaluation) -> list[str]:
    """A line for each photo that could not be used."""
    bad = [f"{row.path}: {row.error}" for row in result.photos if row.error is not None]
    more = len(bad) - _ERRORS_SHOWN
    if more > 0:
        bad[_ERRORS_SHOWN:] = [f"… and {more} more that could not be used (--output has all)"]
    return bad

"""``animals report``: a model's report as a page, and the check that a report says what is measured."""

# Imported where they are used: an evaluation loads NumPy and the engines, which `animals --help` does without.

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animal_classification.cli.options import (
    SPLITS,
    compare_option,
    data_option,
    json_option,
    quiet_option,
    reading_options,
    unknown_option,
)
from animal_classification.common.console import printable, say
from animal_classification.common.progress import ProgressLine
from animal_classification.errors import AnimalsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from animal_classification.data.sources import SourceOptions
    from animal_classification.report.check import Checked

_TEXTS = (".md", ".markdown")


@click.group(name="report")
def command() -> None:
    """Write how good a model is as a page, and check that a report tells the truth."""


@command.command(context_settings={"show_default": True})
@click.argument("what", metavar="RUN|MODEL|EVALUATION|TEXT")
@click.option("-o", "--output", metavar="PATH", type=click.Path(path_type=Path), help="A folder, or a name in .html.")
@data_option
@click.option("--model", metavar="MODEL", help="The model of an EVALUATION, for heatmaps and provenance.")
@reading_options
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="Which photos of SOURCE.  [default: test, or those of an EVALUATION]",
)
@unknown_option
@compare_option
@quiet_option
def html(
    *,
    what: str,
    output: Path | None,
    source: str | None,
    options: SourceOptions,
    quiet: bool,
    **asked: Any,
) -> None:
    """Write a page about a training run, a model, or what `animals evaluate --output` wrote.

    TEXT is Markdown (.md): it becomes a page as well, with its pictures inside.

    \b
    animals report html runs/animals22-probe-d593b05c
    animals report html evaluation.json --model runs/…/bundle --output report
    animals report html reports/README.md
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.report.commands import ReportRequest, page_of_model, page_of_text

    if Path(what).suffix.lower() in _TEXTS:
        written = page_of_text(Path(what), output)
    else:
        request = ReportRequest(what=what, source=source, options=options, quiet=quiet, **asked)
        written = page_of_model(request, output)
    say(f"animals: the page is {printable(str(written))}")


@command.command(context_settings={"show_default": True})
@click.argument("path", metavar="REPORT", type=click.Path(path_type=Path))
@click.option("--data", "source", metavar="SOURCE", help="The photos, where they lie elsewhere than REPORT says.")
@click.option("--model", metavar="MODEL", help="The model, where it is called otherwise than REPORT says.")
@click.option("--compare", metavar="MODEL", help="The model beside it, where it is called otherwise than REPORT says.")
@click.option(
    "--template",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="REPORT answers the questions of FILE: check lengths and images instead of numbers.",
)
@json_option
@quiet_option
def check(
    *,
    path: Path,
    source: str | None,
    model: str | None,
    compare: str | None,
    template: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure again what REPORT says, and end with 1 if anything differs: a line for each difference.

    REPORT is a page or a model card that `animals evaluate --report` wrote, the folder that holds them, or the
    README.md of a bundle. With --template it is any Markdown that answers questions.

    \b
    animals report check report
    animals report check model-card.md --data photos
    animals report check reports/README.md --template questions.md
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    if template is not None:
        if source or model or compare:
            raise UsageError("--template checks a text and not a model: leave out --data, --model and --compare")
        from animal_classification.report.course_check import violations

        found, unchecked = violations(path, template), []
    else:
        checked = _measured_again(path, {"source": source, "model": model, "compare": compare}, quiet)
        found, unchecked = list(checked.differences), list(checked.unchecked)
    if as_json:
        said = {"report": str(path), "ok": not found, "differences": found, "unchecked": unchecked}
        click.echo(json.dumps(said, ensure_ascii=False))
    else:
        for line in found:
            click.echo(printable(line))
    for line in unchecked:
        say(f"animals: not checked: {printable(line)}")
    where = printable(str(path))
    if found:
        things = "difference" if len(found) == 1 else "differences"
        raise AnimalsError(f"{where}: {len(found)} {things if template is None else 'not as the template wants'}")
    say(f"animals: {where}: all is as {'the template wants' if template else 'it was measured'}")


def _measured_again(path: Path, changed: Mapping[str, str | None], quiet: bool) -> Checked:
    from animal_classification.evaluation.metrics import require
    from animal_classification.report.check import check
    from animal_classification.report.commands import load

    require()
    given = {name: value for name, value in changed.items() if value is not None}
    with ProgressLine(shown=not quiet) as progress:
        return check(path, load, progress, changed=given, cache=None)

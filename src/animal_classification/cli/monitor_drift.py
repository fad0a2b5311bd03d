"""``animals monitor drift`` and ``animals monitor reference``: do photos still look as they did?"""

# Imported where they are used: `--help` must not wait for NumPy, Pillow and an engine.

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from animal_classification.cli.options import SPLITS, engine_option, json_option, quiet_option, source_options
from animal_classification.cli.output import print_json, print_lines, print_notes
from animal_classification.common.progress import ProgressLine
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from animal_classification.data.sources import SourceOptions
    from animal_classification.monitoring.drift.verdict import Verdict

_ERRORS_SHOWN = 5
FAILS_ON = ("any", "confirmed", "harmful")


@click.command(name="drift")
@click.argument("photos", metavar="PHOTOS...", nargs=-1, required=True)
@click.option("--model", default="photos", show_default=True, help="The model that answers for them.")
@click.option(
    "--window", "size", type=click.IntRange(100, 2000), default=200, show_default=True, help="Photos judged together."
)
@click.option(
    "--against",
    default="training",
    show_default=True,
    metavar="training|FILE",
    help="training: the photos kept apart when the model was trained. FILE: an accepted baseline (.npz).",
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with example photos.")
@click.option(
    "--fail-on", type=click.Choice(FAILS_ON), help="Exit with 1 on drift: any, confirmed, or confirmed and harmful."
)
@engine_option
@json_option
@quiet_option
def drift(
    *,
    photos: tuple[str, ...],
    model: str,
    size: int,
    against: str,
    html: Path | None,
    fail_on: str | None,
    engine: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say whether PHOTOS differ from those that the model was measured on, how, and what it costs.

    PHOTOS are photos, folders, patterns, or tables with a column for the path; their order counts as that of time.
    Bursts and copies count once. Where there are several windows, the newest is told, and drift that two in a row show
    is confirmed.

    \b
    animals monitor drift new-photos --model runs/…/bundle
    animals monitor drift new-photos --model zoo --html drift.html --fail-on harmful
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.monitoring.drift.commands import DriftRequest, judge_photos
    from animal_classification.monitoring.drift.terminal_text import verdict_lines

    asked = DriftRequest(photos=photos, model=model, size=size, against=against, engine=engine, html=html)
    with ProgressLine(shown=not quiet) as progress:
        done = judge_photos(asked, progress)
    print_notes(_errors(done.errors))
    if as_json:
        print_json({**done.verdicts[-1].to_json(), "earlier": [one.to_json() for one in done.verdicts[:-1]]})
    else:
        print_lines(verdict_lines(done.verdicts))
    if html is not None:
        print_notes([f"the page is {html}"])
    if fail_on is not None and fails(done.verdicts[-1], fail_on):
        raise click.exceptions.Exit(1)


def fails(verdict: Verdict, fail_on: str) -> bool:
    """Whether a verdict is one that ``--fail-on`` names."""
    found = verdict.kind != "none"
    return found and (fail_on == "any" or verdict.confirmed) and (fail_on != "harmful" or verdict.harmful)


@click.command(name="reference")
@click.argument("model")
@source_options
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True, help="Which photos of SOURCE.")
@click.option("--unlabelled", is_flag=True, help="SOURCE is a folder of photos without labels.")
@click.option("--learn", is_flag=True, help="Fit the estimate of accuracy to this model: sixteen times the work.")
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="A new bundle, in place of changing MODEL.",
)
@engine_option
@json_option
@quiet_option
def reference(
    *,
    model: str,
    source: str,
    options: SourceOptions,
    split: str,
    unlabelled: bool,
    learn: bool,
    output: Path | None,
    engine: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Give MODEL a reference for drift: photos of SOURCE that it has not learned from.

    `animals train` makes one by itself of the photos that it keeps apart, if they are 100 or more. This is for models
    that were made before, and for built-in ones, whose training photos are not here.

    \b
    animals monitor reference runs/…/bundle photos
    animals monitor reference photos good-photos --unlabelled -o my-model
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.monitoring.drift import commands

    if unlabelled and learn:
        raise UsageError("--learn needs labels; leave --unlabelled out")
    bundle = commands.open_model(model)
    target = commands.target_of(bundle, model, output)
    with ProgressLine(shown=not quiet) as progress:
        if unlabelled:
            photos = commands.unlabelled_photos(source)
        else:
            photos = commands.labelled_photos(bundle, source, options, split)
        made = commands.give_reference(bundle, photos, target, commands.Reading(engine, learn, progress))
    if as_json:
        print_json({"bundle": str(target), **made})
        return
    accuracy = made["accuracy"]
    right = "without labels" if accuracy is None else f"{accuracy:.1%} of them answered rightly"
    print_lines([f"{target}: has a reference for drift of {made['photos']} photos, {right}"])


def _errors(errors: dict[str, str]) -> list[str]:
    shown = [f"{name}: {why}" for name, why in list(errors.items())[:_ERRORS_SHOWN]]
    more = len(errors) - len(shown)
    return [*shown, f"… and {more} more that could not be used"] if more else shown

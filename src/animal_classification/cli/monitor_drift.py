"""``animals monitor drift`` and ``animals monitor reference``: do photos still look as they did?"""

# Imported where they are used: `--help` must not wait for NumPy, Pillow and an engine.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from animal_classification.cli.log_options import log_options, log_place
from animal_classification.cli.options import SPLITS, engine_option, json_option, quiet_option, source_options
from animal_classification.cli.output import print_json, print_lines, print_notes
from animal_classification.common.progress import ProgressLine
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from animal_classification.data.sources import SourceOptions
    from animal_classification.monitoring.drift.verdict import Verdict
    from animal_classification.monitoring.log_commands import LogRequest
    from animal_classification.prediction_log.location import LogLocation

_ERRORS_SHOWN = 5
FAILS_ON = ("any", "confirmed", "harmful")


@click.command(name="drift")
@click.argument("photos", metavar="[PHOTOS...]", nargs=-1)
@click.option(
    "--since", help="Judge the newest predictions of the log in place of PHOTOS: how far to look back, such as 24h."
)
@click.option("--source", default="", help="With --since: only photos of this camera or site.")
@click.option(
    "--model",
    default="photos",
    show_default=True,
    help="The model that answers for them; NAME=MODEL where a server calls it NAME.",
)
@click.option(
    "--window", "size", type=click.IntRange(100, 2000), default=200, show_default=True, help="Photos judged together."
)
@click.option(
    "--against",
    metavar="training|baseline|FILE",
    help="training: the photos kept apart when the model was trained. baseline, with --since: the accepted one, where "
    "there is one. FILE: an accepted baseline (.npz).  [default: baseline with --since, else training]",
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with example photos.")
@click.option(
    "--fail-on", type=click.Choice(FAILS_ON), help="Exit with 1 on drift: any, confirmed, or confirmed and harmful."
)
@engine_option
@log_options
@json_option
@quiet_option
def drift(
    *,
    photos: tuple[str, ...],
    since: str | None,
    source: str,
    model: str,
    size: int,
    against: str | None,
    html: Path | None,
    fail_on: str | None,
    engine: str,
    log_folder: str | None,
    log_url: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say whether PHOTOS, or the log's newest, differ from those that the model was measured on, how, at what cost.

    PHOTOS are photos, folders, patterns, or tables with a column for the path; their order counts as that of time.
    Bursts and copies count once. Where there are several windows, the newest is told, and drift that two in a row show
    is confirmed.

    \b
    animals monitor drift new-photos --model runs/…/bundle
    animals monitor drift new-photos --model zoo --html drift.html --fail-on harmful
    animals monitor drift --since 24h --model zoo --source gate
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.monitoring.drift.commands import TRAINING, DriftRequest, judge_photos
    from animal_classification.monitoring.drift.terminal_text import verdict_lines

    if (since is None) == (not photos):
        raise UsageError("name PHOTOS, or say with --since how far to look back in a server's log; one of the two")
    if since is not None:
        if html is not None:
            raise UsageError("--html shows the photos of PHOTOS; the page of a server shows those of its log")
        place = log_place(log_folder, log_url)
        _drift_of_log(place, LogWords(since, source, model, size, against or "baseline"), fail_on, as_json)
        return
    if source:
        raise UsageError("--source chooses photos of a server's log: add --since, or name the folder of that camera")
    asked = DriftRequest(photos=photos, model=model, size=size, against=against or TRAINING, engine=engine, html=html)
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


@dataclass(frozen=True)
class LogWords:
    """The options that are about the log, as they were typed."""

    since: str
    source: str
    model: str
    size: int
    against: str


def _drift_of_log(place: LogLocation, words: LogWords, fail_on: str | None, as_json: bool) -> None:
    from animal_classification.monitoring.drift.terminal_text import verdict_lines
    from animal_classification.monitoring.log_commands import judge_log

    judged = judge_log(log_request(place, words))
    newest = judged[-1]
    if as_json:
        print_json({**newest.document, "earlier": [one.document for one in judged[:-1]]})
    else:
        print_lines(verdict_lines([one.verdict for one in judged]))
        if newest.audit.accuracy is not None and newest.audit.low is not None and newest.audit.high is not None:
            print_lines(
                [
                    f"  audit     {newest.audit.accuracy:.1%}, {newest.audit.low:.1%} to {newest.audit.high:.1%} "
                    f"({newest.audit.reviewed} photos looked at, chosen by chance)"
                ]
            )
    if fail_on is not None and fails(newest.verdict, fail_on):
        raise click.exceptions.Exit(1)


def log_request(place: LogLocation, words: LogWords) -> LogRequest:
    """What the options ask for."""
    from animal_classification.monitoring.log_commands import LogRequest
    from animal_classification.monitoring.status import seconds_of

    if words.against not in ("baseline", "training"):
        raise UsageError(f"with --since, --against is baseline or training, not {words.against!r}")
    return LogRequest(
        place=place,
        model=words.model,
        since=seconds_of(words.since),
        source=words.source,
        size=words.size,
        against=words.against,
    )


@click.command(name="accept")
@click.option("--since", default="7d", show_default=True, help="The photos of how long are usual.")
@click.option("--source", default="", help="Only photos of this camera or site, for its own windows.")
@click.option("--model", default="photos", show_default=True, help="The model that answered; NAME=MODEL as in drift.")
@click.option("--who", required=True, help="Who accepts it.")
@click.option("--why", required=True, help="On what grounds, for whoever reads it later.")
@log_options
@json_option
def accept(
    *,
    since: str,
    source: str,
    model: str,
    who: str,
    why: str,
    log_folder: str | None,
    log_url: str | None,
    as_json: bool,
) -> None:
    """Take the photos of the log as usual: from now on, drift is judged against them, and no more against training.

    Look at them first: what is accepted is not told again. The baseline belongs to the model's name, not to a version.

    \b
    animals monitor accept --since 7d --model zoo --who Ada --why "snow until March; 40 answers audited, 94% right"
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.monitoring.log_commands import accept_baseline

    words = LogWords(since, source, model, 200, "training")
    done = accept_baseline(log_request(log_place(log_folder, log_url), words), who, why)
    if as_json:
        print_json(done.to_json())
    else:
        kept = done.record
        print_lines(
            [f"{kept.used} photos of {kept.model} {kept.version} are the baseline now, accepted by {who.strip()}"]
        )


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

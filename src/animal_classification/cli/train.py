"""``animals train``: from labelled photos to a model of one's own."""

# Imported where they are used: training takes a second to load, and `--help` and `--cfg` must not wait for it.

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from animal_classification.cli.interpreter_tuning import short_run
from animal_classification.cli.options import config_dir_option, json_option, quiet_option
from animal_classification.common.console import complain, printable, say

if TYPE_CHECKING:
    from animal_classification.evaluation.result import Interval
    from animal_classification.evaluation.scorecard import Scorecard
    from animal_classification.training.train import TrainResult

_WORST = 3
_RECALL = "test/recall/"


@click.command(name="train")
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1, type=click.UNPROCESSED)
@config_dir_option
@click.option("--cfg", is_flag=True, help="Print the configuration and train nothing.")
@json_option
@quiet_option
def command(overrides: tuple[str, ...], config_dir: Path | None, cfg: bool, as_json: bool, quiet: bool) -> None:
    """Make a model from labelled photos, and measure it on photos that it has not seen.

    \b
    animals train                                    try it on silhouettes of ten animals
    animals train data.path=photos                   photos/cat/…, photos/dog/…: half a minute
    animals train data.path=photos recipe=finetune   better, and much slower (extra: train)

    Any setting can be given as KEY=VALUE; --cfg shows them all.
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.config.compose import as_yaml, compose

    config = compose(overrides, config_dir=config_dir)
    if cfg:
        click.echo(as_yaml(config), nl=False)
        return
    from animal_classification.common.progress import ProgressLine
    from animal_classification.training.recipes import joins_another, take_part
    from animal_classification.training.train import train

    if joins_another(config.trainer):
        take_part(config)
        return
    with short_run(), ProgressLine(shown=not quiet) as progress:
        result = train(config, progress=progress, warn=complain)
    if not quiet:
        for note in result.notes:
            say(f"animals: {printable(note)}")
    if as_json:
        click.echo(json.dumps(as_object(result), ensure_ascii=False))
        return
    for line in lines(result):
        click.echo(printable(line))


def as_object(result: TrainResult) -> dict[str, object]:
    """What ``--json`` prints."""
    return {
        "bundle": str(result.bundle),
        "run": str(result.run),
        **_tested(result.tested),
        "seconds": round(result.seconds, 2),
        "resumed": result.resumed,
        "metrics": dict(result.metrics),
        "notes": list(result.notes),
    }


def _tested(tested: Scorecard | None) -> dict[str, object]:
    if tested is None:
        return {"accuracy": None, "answered_right": None, "photos": 0}
    found: dict[str, object] = {"photos": tested.photos}
    for name, share in zip(("answered_right", "accuracy"), _shares(tested), strict=True):
        found |= {name: share.value, f"{name}_interval": [share.low, share.high]}
    return found


def _shares(tested: Scorecard) -> tuple[Interval, Interval]:
    return tested.answered_right, tested.accuracy


def lines(result: TrainResult) -> list[str]:
    """What a person wants to know at the end."""
    shown = [f"model     {result.bundle}"]
    tested = result.tested
    if tested is None:
        shown.append("accuracy  not known: there is no test photo")
    else:
        told, label = (f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for one in _shares(tested))
        apart = "that it has not seen" if not tested.seen else f"of which it has seen {tested.seen}, or copies of them"
        shown.append(f"accuracy  {label} on {tested.photos} photos {apart}")
        shown.append(f"answered  {told} are told right; {tested.called_unknown:.1%} are wrongly called unknown")
        if worst := _worst(result):
            shown.append(f"weakest   {worst}")
    shown.append(f"took      {result.seconds:.1f} s{', going on from an interrupted run' if result.resumed else ''}")
    shown.append(f"next      animals predict PHOTOS --model {shlex.quote(str(result.bundle))}")
    return shown


def _worst(result: TrainResult) -> str:
    recalls = {
        name.removeprefix(_RECALL): value
        for name, value in result.metrics.items()
        if name.startswith(_RECALL) and value < 1
    }
    worst = sorted(recalls, key=lambda name: (recalls[name], name))[:_WORST]
    return ", ".join(f"{name} {recalls[name]:.0%}" for name in worst)

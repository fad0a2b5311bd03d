"""``animals sweep``: train many times to find good settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from animal_classification.cli.options import config_dir_option, json_option
from animal_classification.common.console import printable, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animal_classification.config.schema import Config
    from animal_classification.sweep.runner import SweepOutcome
    from animal_classification.tracking.tracker import Tracker
    from animal_classification.training.train import Result


@click.command(name="sweep")
@click.argument("words", nargs=-1, metavar="[SWEEP.YAML] [KEY=VALUE]...", type=click.UNPROCESSED)
@config_dir_option
@json_option
def command(words: Sequence[str], config_dir: Path | None, as_json: bool) -> None:
    """Train many times to find good settings.

    KEY=VALUE is as for animals train. What is tried is sweep.space, or several values for a key:
    recipe.batch_size=16,32 'recipe.lr=tag(log, interval(0.0001, 0.1))'; if nothing is said, what is usual for the
    recipe. SWEEP.YAML is one of W&B's. The same call goes on where a killed one ended; with
    sweep.storage=postgresql://... several machines share the work.
    """
    from animal_classification.config.compose import tree
    from animal_classification.sweep.runner import plan, run_sweep

    composed = tree(_with_files(words), config_dir=config_dir, sweeping=True)
    sweep = plan(composed.config, version_of=_data_version)
    say(f"animals: study {printable(sweep.name)}: {sweep.wanted} trials of {', '.join(sweep.space)}")
    outcome = run_sweep(sweep, _train, tell=lambda line: say(f"animals: {printable(line)}"))
    for note in outcome.notes:
        say(f"animals: {printable(note)}")
    _print(outcome, as_json=as_json)


def _train(config: Config, *, listeners: Sequence[Tracker]) -> Result:
    from animal_classification.common.progress import ProgressLine
    from animal_classification.training.train import train

    with ProgressLine(shown=True) as progress:
        return train(config, progress=progress, listeners=listeners)


def _data_version(config: Config) -> str:
    from animal_classification.common.progress import ProgressLine
    from animal_classification.training.prepare_data import data_version

    with ProgressLine(shown=True) as progress:
        return data_version(config, progress)


def _with_files(words: Sequence[str]) -> list[str]:
    """The words, with those of W&B's files before them."""
    from animal_classification.sweep.wandb_sweep import read

    first: list[str] = []
    rest: list[str] = []
    for word in words:
        if "=" in word or not word.endswith((".yaml", ".yml")):
            rest.append(word)
            continue
        found = read(Path(word))
        first.extend(found.words)
        for note in found.notes:
            say(f"animals: {printable(note)}")
    return [*first, *rest]


def _print(outcome: SweepOutcome, *, as_json: bool) -> None:
    from animal_classification.sweep.study_report import aligned, as_object, table, write

    page = write(outcome)
    found = as_object(outcome, page)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for line in aligned(table(outcome)):
        click.echo(printable(line))
    counts = f"{found['finished']} of {found['asked']} trials finished, {found['pruned']} of them pruned"
    if found["bundle"] is None:
        say(f"animals: {counts}; none ran to its end")
        return
    say(f"animals: {counts}; plots in {printable(str(page))}")
    say(f"animals: the best one, {found['metric']} {found['value']:.4g}: {printable(found['bundle'])}")

"""``train``: from a configuration to a bundle that has been measured. Every recipe goes through here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.progress import Progress, silent
from animal_classification.tracking.factory import begin_imports, check_installed, tracked, without_auto
from animal_classification.tracking.model_registration import offer
from animal_classification.training.input_hashes import ingredients
from animal_classification.training.package import finish
from animal_classification.training.prepare_data import model_name, prepare
from animal_classification.training.probe.scan_and_embed import open_embedder
from animal_classification.training.recipe import RecipeInputs
from animal_classification.training.recipes import find_recipe
from animal_classification.training.run import LOCK, open_run
from animal_classification.training.run_lock import only_here

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.evaluation.scorecard import Scorecard
    from animal_classification.tracking.tracker import Tracker
    from animal_classification.training.dataset import Dataset
    from animal_classification.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out.

    Attributes:
        bundle: The model.
        run: The run's folder.
        tested: How good it is on the test split; ``None`` where there is none.
        metrics: Everything that was measured at the end, by the names in ``tracking.tracker``.
        seconds: How long it took.
        resumed: An earlier, interrupted run was brought to its end.
        notes: What a person should know, a line each.
    """

    bundle: Path
    run: Path
    tested: Scorecard | None
    metrics: Mapping[str, float]
    seconds: float
    resumed: bool
    notes: tuple[str, ...]

    @property
    def accuracy(self) -> float | None:
        """On the test split; ``None`` where there is none."""
        return None if self.tested is None else self.tested.accuracy.value

    @property
    def test_photos(self) -> int:
        """How many photos that was."""
        return 0 if self.tested is None else self.tested.photos


def train(
    config: Config,
    *,
    progress: Progress = silent,
    listeners: Sequence[Tracker] = (),
    warn: Callable[[str], None] | None = None,
) -> Result:
    """Train a model as the configuration says.

    Args:
        config: All of it.
        progress: Told what is being done.
        listeners: Told all numbers, as trackers are; what they raise ends the run and comes out of here.
        warn: Told, on any thread, what a person should know before the end, as that a tracker has failed and that the
            run goes on; Python's logging by default.

    Raises:
        UsageError: The configuration and the data do not go together.
        AnimalsError: Data cannot be read, results cannot be written, or another process is at work on the same run.
    """
    begun = time.monotonic()
    recipe = find_recipe(config.recipe.name)
    config = without_auto(config)
    check_installed(config)
    begin_imports(config)
    with open_embedder(config) as embedder:
        dataset = prepare(config, progress, embedder=embedder)
    with _held_run(config, dataset) as run:
        if warn is not None:
            for note in run.notes:
                warn(note)  # before hours have gone by
        with tracked(config, run, listeners=listeners, warn=warn) as tracker:
            job = RecipeInputs(config=config, dataset=dataset, run=run, tracker=tracker, progress=progress)
            finished = finish(job, recipe(job))
            seconds = time.monotonic() - begun
        registered = offer(config, run, name=model_name(config), metrics=finished.metrics, test=dataset.test.rows)
        run.finish(metrics=dict(finished.metrics), seconds=round(seconds, 2))
    return Result(
        bundle=run.bundle,
        run=run.path,
        tested=finished.tested,
        metrics=finished.metrics,
        seconds=seconds,
        resumed=run.resumed,
        notes=(*dataset.notes, *(run.notes if warn is None else ()), *finished.notes, *registered),
    )


@contextmanager
def _held_run(config: Config, dataset: Dataset) -> Iterator[Run]:
    """The run's folder, for this process alone.

    Raises:
        OutputError: Another process is at work there, or it cannot be written.
    """
    made_from = ingredients(config)
    while True:
        run = open_run(config, name=model_name(config), data_version=dataset.version, ingredients=made_from)
        with only_here(run.path, LOCK):
            if run.finished:  # by another process, a moment ago
                continue
            yield run
            return

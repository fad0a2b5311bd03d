"""`train`: from a configuration to a measured bundle, for every recipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.progress import Progress, silent
from animal_classification.tracking.factory import begin_imports, check_installed, tracked, without_auto
from animal_classification.tracking.model_registration import offer_to_registry
from animal_classification.training.dataset import model_name, prepare
from animal_classification.training.package import package
from animal_classification.training.probe.scan_and_embed import open_embedder
from animal_classification.training.recipe import RecipeInputs
from animal_classification.training.recipes import find_recipe, pretrained_weights
from animal_classification.training.run import locked_folder, open_run

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.evaluation.scorecard import Scorecard
    from animal_classification.tracking.tracker import Tracker
    from animal_classification.training.dataset import Dataset
    from animal_classification.training.run import Run


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A trained model, and how good it is.

    Attributes:
        bundle: The model.
        run: The run's folder.
        tested: How good it is on the test split; ``None`` without test photos.
        metrics: All metrics of the test split, by the names in ``tracking.tracker``.
        seconds: How long it took.
        resumed: It continued an interrupted run.
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
        """On the test split; ``None`` without test photos."""
        return None if self.tested is None else self.tested.accuracy.value

    @property
    def test_photos(self) -> int:
        """How many test photos there are."""
        return 0 if self.tested is None else self.tested.photos


def train(
    config: Config,
    *,
    progress: Progress = silent,
    listeners: Sequence[Tracker] = (),
    warn: Callable[[str], None] | None = None,
) -> TrainResult:
    """Train a model as the configuration says.

    Args:
        config: All of it.
        progress: Called with each step.
        listeners: Get everything that trackers get; what they raise ends the run and passes through.
        warn: Called on any thread with what a person should know before the end, such as a failed tracker; Python's
            logging by default.

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
    with _locked_run(config, dataset) as run:
        if warn is not None:
            for note in run.notes:
                warn(note)  # before hours have gone by
        with tracked(config, run, listeners=listeners, warn=warn) as tracker:
            job = RecipeInputs(config=config, dataset=dataset, run=run, tracker=tracker, progress=progress)
            packaged = package(job, recipe(job))
            seconds = time.monotonic() - begun
        registered = offer_to_registry(
            config, run, name=model_name(config), metrics=packaged.metrics, test=dataset.test.rows
        )
        run.finish(metrics=dict(packaged.metrics), seconds=round(seconds, 2))
    return TrainResult(
        bundle=run.bundle,
        run=run.path,
        tested=packaged.tested,
        metrics=packaged.metrics,
        seconds=seconds,
        resumed=run.resumed,
        notes=(*dataset.notes, *(run.notes if warn is None else ()), *packaged.notes, *registered),
    )


@contextmanager
def _locked_run(config: Config, dataset: Dataset) -> Iterator[Run]:
    """The run's folder, for this process alone.

    Raises:
        OutputError: Another process is at work there, or it cannot be written.
    """
    weights = pretrained_weights(config)
    while True:
        run = open_run(config, name=model_name(config), data_version=dataset.version, ingredients=weights)
        with locked_folder(run.path):
            if run.finished:  # by another process, a moment ago
                continue
            yield run
            return

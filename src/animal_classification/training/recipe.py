"""What every recipe gets, and what it gives back.

A recipe is a function ``train(job: RecipeInputs) -> TrainedModel`` in a module of its own;
``recipes.RECIPES`` says where.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.bundle import Calibration, Label, Preprocess
    from animal_classification.common.progress import Progress
    from animal_classification.config.schema import Config
    from animal_classification.data.manifest import ManifestRow
    from animal_classification.evaluation import HeldOut
    from animal_classification.tracking.tracker import Tracker
    from animal_classification.training.dataset import Dataset
    from animal_classification.training.run import Run


@dataclass(frozen=True, kw_only=True)
class RecipeInputs:
    """What is to be done.

    Attributes:
        config: All of it; ``config.recipe`` is the recipe's own part.
        dataset: Photos with labels and splits.
        run: Where the run keeps its files; unfinished work of the same run is found there.
        tracker: Takes numbers and pictures.
        progress: To be told what is going on.
        team: The processes that fit together (``neural.team.Team``), where there are several.
    """

    config: Config
    dataset: Dataset
    run: Run
    tracker: Tracker
    progress: Progress
    team: object = None


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model that is not a bundle yet.

    Attributes:
        model: The ONNX graph of the bundle contract: uint8 ``[N, H, W, 3]`` to logits, embedding and features.
        labels: In the order of the logits.
        preprocess: How pixels reach the graph.
        calibration: From photos that the model was not fitted to.
        photos: How many it learned from: those of val too where it was fitted to them, none that could not be read.
        reference: Arrays of ``reference.npz``: at least ``embedding`` float32 ``[N, D]`` and ``label`` int ``[N]``.
        metrics: What the recipe measured on the way, by name.
        last_step: The last at which it told the tracker numbers; those of the test follow there.
        held_out: What a model that was not fitted to them says of photos of the classes, where the recipe has it:
            prediction sets and the threshold for unknown photos come from it. Otherwise the val photos go through the
            bundle.
        learned_from: The photos of ``reference``, in its order, where the recipe knows them.
        test_logits: float32 ``[len(dataset.test), C]`` where the recipe has them anyway, NaN for photos that are gone.
            They are then checked against the bundle on a few photos; otherwise all test photos go through the bundle.
        test_embedding: float32 ``[len(dataset.test), D]``, of the same photos.
        train_logits: float32 ``[len(learned_from), C]``, the same of the photos that it learned from: for the check
            where there is no test photo.
    """

    model: bytes
    labels: tuple[Label, ...]
    preprocess: Preprocess
    calibration: Calibration
    photos: int
    reference: Mapping[str, object]
    metrics: Mapping[str, float] = field(default_factory=dict)
    last_step: int = 1
    held_out: HeldOut | None = None
    learned_from: tuple[ManifestRow, ...] = ()
    test_logits: NDArray[np.float32] | None = None
    test_embedding: NDArray[np.float32] | None = None
    train_logits: NDArray[np.float32] | None = None


class Recipe(Protocol):
    """A way to train."""

    def __call__(self, job: RecipeInputs) -> TrainedModel: ...

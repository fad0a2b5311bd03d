"""A recipe without any learning: the hand-made graph of ``tiny_bundle``, for what happens after every recipe."""

from __future__ import annotations

import numpy as np

from animal_classification import imaging
from animal_classification.bundle import Calibration, Label, Preprocess
from animal_classification.training.recipe import RecipeInputs, TrainedModel
from tests.support.tiny_bundle import tiny_model

SIZE = 32


def train(job: RecipeInputs) -> TrainedModel:
    """The classes are colours, in their order; it holds out nothing and knows no test logits."""
    spec = imaging.PreprocessSpec(size=SIZE, crop_pct=1.0, interpolation="bilinear")
    pixels = np.stack([imaging.preprocess(file, spec) for file in job.dataset.train.files])
    classes = job.dataset.classes
    return TrainedModel(
        model=tiny_model(len(classes), size=SIZE),
        labels=tuple(Label(id=name, name=name) for name in classes),
        preprocess=Preprocess(size=SIZE, crop_pct=1.0, interpolation="bilinear"),
        calibration=Calibration(temperature=2.0),
        photos=len(pixels),
        reference={"embedding": pixels.mean(axis=(1, 2)) / np.float32(255), "label": job.dataset.train.targets},
        learned_from=job.dataset.train.rows,
    )

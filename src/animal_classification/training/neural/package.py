"""From a fitted network to a `TrainedModel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from animal_classification.bundle import Calibration, Preprocess
from animal_classification.evaluation.calibration import fit_temperature
from animal_classification.taxonomy.class_labels import labels_of
from animal_classification.training.neural.network import network_outputs, reference_photos
from animal_classification.training.neural.onnx_export import export
from animal_classification.training.recipe import TrainedModel

if TYPE_CHECKING:
    from animal_classification.imaging import PreprocessSpec
    from animal_classification.training.neural.fit_plan import FitPhotos, Fitted
    from animal_classification.training.recipe import RecipeInputs


def trained_model(
    job: RecipeInputs, network: nn.Module, fitted: Fitted, photos: FitPhotos, spec: PreprocessSpec
) -> TrainedModel:
    """Calibrate on val, embed training photos for reference, export and check.

    Raises:
        AnimalsError: The exported graph answers otherwise than the network.
    """
    network.eval()
    job.progress("exporting", 0, 1)
    temperature, recalls = _validate(job, network, photos)
    chosen = reference_photos(photos.train_targets)
    reference = network_outputs(network, photos.train, chosen)["embedding"]
    model = export(network, spec.size)
    job.progress("exporting", 1, 1)
    if recalls:
        job.tracker.log_metrics(recalls, step=fitted.epochs)
    return TrainedModel(
        model=model,
        labels=labels_of(job.dataset.classes),
        preprocess=Preprocess(size=spec.size, crop_pct=spec.crop_pct, interpolation=spec.interpolation),
        calibration=Calibration(temperature=temperature),
        photos=len(photos.train),
        reference={"embedding": reference, "label": photos.train_targets[chosen]},
        learned_from=tuple(job.dataset.train.rows[index] for index in chosen),
        metrics={**fitted.metrics, **recalls, "epoch": float(fitted.epoch), "epochs": float(fitted.epochs)},
        last_step=fitted.epochs,
    )


def _validate(job: RecipeInputs, network: nn.Module, photos: FitPhotos) -> tuple[float, Mapping[str, float]]:
    """The temperature, and the recall of each class on val."""
    if not len(photos.val):
        return 1.0, {}
    logits = network_outputs(network, photos.val, np.arange(len(photos.val)))["logits"]
    temperature = fit_temperature(logits, photos.val_targets)
    return temperature, _recalls(logits.argmax(axis=1), photos.val_targets, job.dataset.classes)


def _recalls(found: NDArray[np.int64], targets: NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, float]:
    return {
        f"val/recall/{name}": float((found[targets == number] == number).mean())
        for number, name in enumerate(classes)
        if (targets == number).any()
    }

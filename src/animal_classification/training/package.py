"""From a recipe's model to a bundle: postprocessing is fitted, the bundle written, measured and described."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animal_classification import bundle as bundles
from animal_classification.bundle.model import CONFUSION_FILE
from animal_classification.evaluation.training_provenance import HELD_OUT
from animal_classification.inference.reference import REFERENCE_FILE, pack
from animal_classification.monitoring.drift.reference import MONITOR_FILE
from animal_classification.report.model_card import bundle_card
from animal_classification.training.dataset import model_name
from animal_classification.training.drift_reference import drift_reference
from animal_classification.training.figures import confusion_png, examples_png
from animal_classification.training.heldout_metrics import (
    HeldOutMetrics,
    HeldOutOutputs,
    ReferenceLogits,
    check_served,
    measure,
    wide_photos,
)
from animal_classification.training.postprocessing import FittedPostprocessing, fit_postprocessing, reference_of

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.evaluation.scorecard import Scorecard
    from animal_classification.monitoring.drift.reference import DriftReference
    from animal_classification.training.recipe import RecipeInputs, TrainedModel


@dataclass(frozen=True)
class PackagedModel:
    """Metrics and notes of a written bundle; ``tested`` is ``None`` without a test photo."""

    metrics: Mapping[str, float]
    tested: Scorecard | None
    notes: tuple[str, ...]


def package(job: RecipeInputs, trained: TrainedModel) -> PackagedModel:
    """Fit postprocessing, write the bundle, measure it on the test photos, and log the results.

    Raises:
        AnimalsError: It cannot be written, or it answers otherwise than the recipe says.
    """
    job.progress("measuring", 0, len(job.dataset.test))
    if trained.held_out is None or trained.test_logits is None:
        # Measured as it will be served, and written again with the numbers.
        _write(job, trained, None, None)
    fitted = fit_postprocessing(job, trained)
    if trained.test_logits is not None and wide_photos(job.dataset.test):
        _write(job, trained, fitted, None)
    outputs = HeldOutOutputs.of(job, trained)
    info, arrays = _info(job, trained, fitted, None), _arrays(job, trained, fitted)
    measured = measure(job, info, arrays, outputs)
    _write(job, trained, fitted, measured, drift_reference(job, trained, outputs, info, arrays))
    metrics = measured.metrics(job.dataset.classes)
    _log(job, metrics, measured, step=trained.last_step)
    return PackagedModel(metrics, measured.tested, (*measured.notes, *fitted.notes))


def _write(
    job: RecipeInputs,
    trained: TrainedModel,
    fitted: FittedPostprocessing | None,
    measured: HeldOutMetrics | None,
    monitor: DriftReference | None = None,
) -> None:
    info = _info(job, trained, fitted, measured)
    tested = None if measured is None else measured.tested
    card = bundle_card(info, tested, job.config.data.path, use=job.run.bundle.name)
    files = {
        "model.onnx": trained.model,
        REFERENCE_FILE: pack(_arrays(job, trained, fitted)),
        "README.md": card.encode(),
    }
    if measured is not None and len(measured):
        matrix = measured.confusion(len(job.dataset.classes)).tolist()
        names = [label.name for label in trained.labels]
        files[CONFUSION_FILE] = json.dumps({"labels": names, "matrix": matrix}).encode()
    if monitor is not None:
        files[MONITOR_FILE] = monitor.pack()
    expected = ReferenceLogits.of(job.dataset, trained)
    bundles.write(job.run.bundle, info, files, overwrite=True, check=lambda made: check_served(made, expected))


def _info(
    job: RecipeInputs,
    trained: TrainedModel,
    fitted: FittedPostprocessing | None,
    measured: HeldOutMetrics | None,
) -> BundleInfo:
    facts, dataset = job.run.info, job.dataset
    rules = fitted.rules if fitted else None
    held_out = {HELD_OUT: fitted.photos} if fitted else {}
    return bundles.BundleInfo(
        name=model_name(job.config),
        version=facts["fingerprint"][:8],
        created=datetime.now(UTC).replace(microsecond=0),
        labels=trained.labels,
        preprocess=trained.preprocess,
        calibration=trained.calibration,
        conformal=rules.conformal if rules else None,
        unknown=rules.unknown if rules else None,
        data=bundles.Data(
            version=dataset.version,
            n_train=trained.photos,
            n_test=len(dataset.test if measured is None else measured),
            classes=len(dataset.classes),
            crops=dataset.manifest.crops or None,
        ),
        code=bundles.Code(**facts["code"]),
        config=job.config.model_dump(mode="json", by_alias=True),
        metrics={**trained.metrics, **held_out, **(measured.summary() if measured else {})},
    )


def _arrays(job: RecipeInputs, trained: TrainedModel, fitted: FittedPostprocessing | None) -> dict[str, NDArray[Any]]:
    arrays = reference_of(job, trained, fitted.rules if fitted else None)
    return {name: np.asarray(value) for name, value in arrays.items()}


def _log(job: RecipeInputs, metrics: Mapping[str, float], measured: HeldOutMetrics, *, step: int) -> None:
    """Last of all: some trackers drop a step that is lower than the one before."""
    if metrics:
        job.tracker.log_metrics(metrics, step=step)
        classes = job.dataset.classes
        job.tracker.log_image("test/confusion", confusion_png(measured.confusion(len(classes)), classes), step=step)
        files = [job.dataset.test.files[index] for index in measured.positions]
        job.tracker.log_image("test/examples", examples_png(measured, files, classes), step=step)
    job.tracker.log_bundle(job.run.bundle)

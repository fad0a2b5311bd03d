"""After a recipe: the bundle is written, measured as it will be served, and described."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.training_provenance import HELD_OUT
from animal_classification.inference.reference import REFERENCE_FILE, pack
from animal_classification.training.bundle_card import model_card
from animal_classification.training.figures import confusion_png, examples_png
from animal_classification.training.heldout_metrics import (
    HeldOutMetrics,
    HeldOutOutputs,
    ReferenceLogits,
    check_served,
    measure,
    wide_photos,
)
from animal_classification.training.postprocessing import FittedPostprocessing, find_rules, reference_of

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.evaluation.scorecard import Scorecard
    from animal_classification.training.recipe import RecipeInputs, TrainedModel


@dataclass(frozen=True)
class Finished:
    """Numbers and notes of a finished run; ``tested`` is ``None`` where there was no test photo."""

    metrics: Mapping[str, float]
    tested: Scorecard | None
    notes: tuple[str, ...]


def finish(job: RecipeInputs, trained: TrainedModel) -> Finished:
    """Write the bundle, measure it on the test photos, and tell the tracker.

    Raises:
        AnimalsError: It cannot be written, or it answers otherwise than the recipe says.
    """
    job.progress("measuring", 0, len(job.dataset.test))
    if trained.held_out is None or trained.test_logits is None:
        # What will be served is what is measured, and then written again with the numbers.
        _write(job, trained, None, None)
    ruling = find_rules(job, trained)
    if trained.test_logits is not None and wide_photos(job.dataset.test):
        _write(job, trained, ruling, None)
    outputs = HeldOutOutputs.of(job, trained)
    measured = measure(job, _info(job, trained, ruling, None), _arrays(job, trained, ruling), outputs)
    _write(job, trained, ruling, measured)
    metrics = measured.metrics(job.dataset.classes)
    _tell(job, metrics, measured, step=trained.last_step)
    return Finished(metrics, measured.tested, (*measured.notes, *ruling.notes))


def _write(
    job: RecipeInputs, trained: TrainedModel, ruling: FittedPostprocessing | None, measured: HeldOutMetrics | None
) -> None:
    from animal_classification import bundle as bundles
    from animal_classification.bundle.model import CONFUSION_FILE

    info = _info(job, trained, ruling, measured)
    card = model_card(job, info, measured)
    files = {
        "model.onnx": trained.model,
        REFERENCE_FILE: pack(_arrays(job, trained, ruling)),
        "README.md": card.encode(),
    }
    if measured is not None and len(measured):
        matrix = measured.confusion(len(job.dataset.classes)).tolist()
        names = [label.name for label in trained.labels]
        files[CONFUSION_FILE] = json.dumps({"labels": names, "matrix": matrix}).encode()
    witnesses = ReferenceLogits.of(job.dataset, trained)
    bundles.write(job.run.bundle, info, files, overwrite=True, check=lambda made: check_served(made, witnesses))


def _info(
    job: RecipeInputs, trained: TrainedModel, ruling: FittedPostprocessing | None, measured: HeldOutMetrics | None
) -> BundleInfo:
    from animal_classification import bundle as bundles
    from animal_classification.training.prepare_data import model_name

    facts, dataset = job.run.info, job.dataset
    rules = ruling.rules if ruling else None
    held_out = {HELD_OUT: ruling.photos} if ruling else {}
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
        ),
        code=bundles.Code(**facts["code"]),
        config=job.config.model_dump(mode="json", by_alias=True),
        metrics={**trained.metrics, **held_out, **(measured.summary() if measured else {})},
    )


def _arrays(job: RecipeInputs, trained: TrainedModel, ruling: FittedPostprocessing | None) -> dict[str, NDArray[Any]]:
    arrays = reference_of(job, trained, ruling.rules if ruling else None)
    return {name: np.asarray(value) for name, value in arrays.items()}


def _tell(job: RecipeInputs, metrics: Mapping[str, float], measured: HeldOutMetrics, *, step: int) -> None:
    """Once, after everything else: some trackers drop a step that goes back."""
    if metrics:
        job.tracker.log_metrics(metrics, step=step)
        classes = job.dataset.classes
        job.tracker.log_image("test/confusion", confusion_png(measured.confusion(len(classes)), classes), step=step)
        files = [job.dataset.test.files[index] for index in measured.positions]
        job.tracker.log_image("test/examples", examples_png(measured, files, classes), step=step)
    job.tracker.log_bundle(job.run.bundle)

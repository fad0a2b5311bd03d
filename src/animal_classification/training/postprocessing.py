"""What every bundle gets: calibration, prediction sets, a rule for unknown photos, and a memory of training photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from animal_classification.evaluation import conformal, ood
from animal_classification.evaluation.confidence_intervals import fewest_for, share_below
from animal_classification.evaluation.fit_postprocessing import HeldOut, Postprocessing, calibrate
from animal_classification.inference.reference import reference_arrays
from animal_classification.training.probe.blas import one_thread

if TYPE_CHECKING:
    from animal_classification.training.recipe import RecipeInputs, TrainedModel

_SHOWN = 3


@dataclass(frozen=True)
class FittedPostprocessing:
    """What could be found out from photos that a model was not fitted to.

    Attributes:
        rules: ``None`` where there is no such photo.
        photos: How many there were.
        notes: What the bundle lacks, or cannot promise, a line each.
    """

    rules: Postprocessing | None
    photos: int
    notes: tuple[str, ...]


def find_rules(job: RecipeInputs, trained: TrainedModel) -> FittedPostprocessing:
    """From what the recipe held out, or else from the val photos, sent through the bundle that is written already."""
    held_out = trained.held_out or _from_val(job)
    if held_out is None or not len(held_out.targets):
        note = (
            "no photo was left to judge the model by: its probabilities are not calibrated, and it has neither "
            "prediction sets nor a rule for unknown photos"
        )
        return FittedPostprocessing(None, 0, (note,))
    refused = job.config.unknown.refused
    with one_thread():
        rules = calibrate(
            held_out,
            embedding=np.asarray(trained.reference["embedding"]),
            label=np.asarray(trained.reference["label"]),
            temperature=trained.calibration.temperature,
            refused=refused,
            seed=job.config.seed,
        )
    notes = (*_lacking(rules, held_out, refused), *_unjudged(held_out, job.dataset.classes))
    return FittedPostprocessing(rules, len(held_out.targets), notes)


def _lacking(rules: Postprocessing, held_out: HeldOut, refused: float) -> list[str]:
    photos, observations = len(held_out.targets), held_out.observations
    if rules.conformal is None or rules.unknown is None:
        fewest = max(conformal.FEWEST, ood.FEWEST)
        return [
            f"{photos} photos were left to judge the model by, and it takes {fewest} for prediction sets and a rule "
            "for unknown photos: it has neither"
        ]
    notes = []
    if rules.unknown.method == "energy":
        notes.append(
            "photos are too few, or too much alike, to measure distances: whether one is unknown is decided by its "
            "logits alone"
        )
    if observations < (fewest := fewest_for(refused)):
        notes.append(
            f"the rule for unknown photos rests on {observations} photos (copies and groups count once): it may refuse "
            f"up to {share_below(observations, 1):.1%} of the photos of the classes, and it takes {fewest} photos to "
            f"promise the {refused:.1%} that unknown.refused asks for"
        )
    return notes


def _unjudged(held_out: HeldOut, classes: Sequence[str]) -> list[str]:
    names = [name for number, name in enumerate(classes) if not (held_out.targets == number).any()]
    if not names:
        return []
    shown = ", ".join(map(repr, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")
    return [f"no photo of {len(names)} classes ({shown}) could be held out: nothing says how sure answers of them are"]


def reference_of(job: RecipeInputs, trained: TrainedModel, rules: Postprocessing | None) -> Mapping[str, object]:
    """The arrays of ``reference.npz``: bounded, and with what the rules need."""
    embedding, label = np.asarray(trained.reference["embedding"]), np.asarray(trained.reference["label"])
    known = trained.learned_from if len(trained.learned_from) == len(embedding) else ()
    seen = (*job.dataset.train.rows, *job.dataset.val.rows)
    arrays = reference_arrays(
        embedding=embedding,
        label=label,
        paths=[row.path for row in known],
        seen=[row.sha256 for row in seen if row.sha256],
        fingerprints=[one for row in seen if (one := job.dataset.fingerprints.get(row.path))],
    )
    return {**arrays, **(rules.reference if rules else {})}


def _from_val(job: RecipeInputs) -> HeldOut | None:
    from animal_classification import bundle as bundles
    from animal_classification.evaluation.model_outputs import compute_outputs

    part = job.dataset.val
    if not len(part):
        return None
    outputs = compute_outputs(bundles.load(job.run.bundle), part.files)
    return HeldOut(logits=outputs.logits, targets=part.targets[outputs.positions], embedding=outputs.embedding)

"""What every bundle gets: prediction sets, a rule for unknown photos, and a memory of its training photos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from animal_classification.evaluation.reference import reference_arrays
from animal_classification.evaluation.rules import HeldOut, Rules, calibrate
from animal_classification.training.probe.blas import one_thread

if TYPE_CHECKING:
    from animal_classification.training.recipe import Job, Trained


def find_rules(job: Job, trained: Trained) -> Rules | None:
    """From what the recipe held out, or else from the val photos, sent through the bundle that is written already.

    Returns:
        ``None`` where there is no photo that the model was not fitted to.
    """
    held_out = trained.held_out or _from_val(job)
    if held_out is None or not len(held_out.targets):
        return None
    with one_thread():
        return calibrate(
            held_out,
            embedding=np.asarray(trained.reference["embedding"]),
            label=np.asarray(trained.reference["label"]),
            temperature=trained.calibration.temperature,
            seed=job.config.seed,
        )


def reference_of(job: Job, trained: Trained, rules: Rules | None) -> Mapping[str, object]:
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


def _from_val(job: Job) -> HeldOut | None:
    from animal_classification import bundle as bundles
    from animal_classification.evaluation.outputs import compute_outputs

    part = job.dataset.val
    if not len(part):
        return None
    outputs = compute_outputs(bundles.load(job.run.bundle), part.files)
    return HeldOut(logits=outputs.logits, targets=part.targets[outputs.positions], embedding=outputs.embedding)

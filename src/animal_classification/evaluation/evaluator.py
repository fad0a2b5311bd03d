"""``evaluate``: all measures of a bundle on labelled photos."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.progress import Progress, renamed, silent
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.evaluation import metrics
from animal_classification.evaluation.eval_set import (
    NO_TARGET,
    Others,
    Selection,
    Subject,
    copies_note,
    independent_units,
    match_labels,
    select,
)
from animal_classification.evaluation.metrics import calibration_result, set_result, unknown_result
from animal_classification.evaluation.model_comparison import Right, compare
from animal_classification.evaluation.model_outputs import Outputs, compute_outputs
from animal_classification.evaluation.predictions import PredictedPhotos, find_notable_photos, photo_rows
from animal_classification.evaluation.result import (
    DataFacts,
    Evaluation,
    ModelComparison,
    ModelFacts,
    Neighbour,
    NotablePhotos,
    PhotoRow,
)
from animal_classification.evaluation.slices import slices
from animal_classification.evaluation.training_provenance import recipe_name
from animal_classification.inference.postprocess import Postprocessor
from animal_classification.inference.reference import TrainingReference

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle, BundleInfo
    from animal_classification.data.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """How to evaluate.

    Attributes:
        split: ``test``, ``val``, ``train`` or ``all``.
        unknown: Photos of none of the classes.
        compare: Another model to set beside it.
        engine: As for predictions.
        threads: CPUs to use; all by default.
        cache: Folder for what is known about files; the user's own by default.
        progress: Told what is being done.
    """

    split: str = "test"
    unknown: Others = field(default_factory=Others)
    compare: Bundle | None = None
    engine: str = "auto"
    threads: int | None = None
    cache: Path | None = None
    progress: Progress = silent


_DEFAULTS = EvaluateOptions()


def evaluate(bundle: Bundle, manifest: Manifest, source: str, options: EvaluateOptions = _DEFAULTS) -> Evaluation:
    """Measure a model on labelled photos.

    Args:
        bundle: The model.
        manifest: The photos.
        source: What they are called.
        options: How.

    Raises:
        UsageError: No photo has a label that the model knows.
        MissingExtraError: scikit-learn is not installed.
    """
    begun = time.monotonic()
    metrics.require()
    reference = TrainingReference.of(bundle)
    selection = select(manifest, bundle.info, reference, wanted=options.split, cache=options.cache)
    subjects = [*selection.subjects, *options.unknown.subjects]
    usable = [index for index, subject in enumerate(subjects) if subject.row.problem is None]
    outputs = _outputs(bundle, subjects, usable, options, "evaluating")
    predicted = PredictedPhotos.of(
        bundle.info, Postprocessor.of(bundle), outputs, [subject.target for subject in subjects]
    )
    rows = photo_rows(subjects, outputs, predicted, bundle.info)
    scored = [subjects[index] for index in predicted.scored_positions]
    _refuse_none(scored, outputs)
    units = independent_units(scored, options.cache)
    labels, targets, probabilities = bundle.info.labels, predicted.targets, predicted.probabilities
    classes = metrics.per_class(targets, probabilities, labels, units.all)
    right = predicted.answers == targets
    examples = find_notable_photos(rows, outputs.positions, outputs.embedding)
    return Evaluation(
        created=datetime.now(UTC).replace(microsecond=0),
        model=model_facts(bundle, outputs.engine),
        data=_data_facts(source, options, selection, bundle.info, rows, units.all),
        overall=metrics.overall(targets, probabilities, predicted.answered, classes, units.all),
        classes=classes,
        confusion=metrics.confusion(targets, predicted.answers, labels),
        calibration=calibration_result(predicted, bundle.info),
        sets=set_result(probabilities, targets, bundle.info, units.all),
        unknown=unknown_result(predicted, bundle.info),
        slices=slices(
            [subject.row for subject in scored], right, probabilities.max(axis=1), predicted.brightness, units
        ),
        comparison=_comparison(options, manifest, scored, (right, predicted.answered), units.all),
        examples=examples,
        photos=_with_neighbours(rows, examples, outputs, reference, [label.name for label in labels]),
        notes=[*manifest.notes, *selection.notes, *copies_note(scored, units), *_warnings(scored, bundle)],
        seconds=round(time.monotonic() - begun, 3),
    )


def model_facts(bundle: Bundle, engine: str) -> ModelFacts:
    """Identifies the model."""
    info = bundle.info
    return ModelFacts(
        name=info.name,
        version=info.version,
        sha256=bundle.sha256,
        classes=len(info.labels),
        data_version=info.data.version,
        n_train=info.data.n_train,
        recipe=recipe_name(info),
        engine=engine,
    )


def _outputs(
    bundle: Bundle, subjects: Sequence[Subject], usable: Sequence[int], options: EvaluateOptions, what: str
) -> Outputs:
    """Of the usable subjects, with positions among all of them."""
    found = compute_outputs(
        bundle,
        [subjects[index].file for index in usable],
        engine=options.engine,
        threads=options.threads,
        progress=renamed(options.progress, what),
    )
    places = np.array(usable, dtype=np.int64)
    return replace(
        found,
        positions=places[found.positions],
        errors={usable[index]: reason for index, reason in found.errors.items()},
    )


def _comparison(
    options: EvaluateOptions,
    manifest: Manifest,
    scored: Sequence[Subject],
    right: Right,
    units: NDArray[np.int64],
) -> ModelComparison | None:
    """The other model on the photos that this one was scored on, as far as it knows their labels and can read them."""
    other = options.compare
    if other is None:
        return None
    names = match_labels(manifest, other.info)
    targets = np.array([names.get(subject.row.label, NO_TARGET) for subject in scored], dtype=np.int64)
    outputs = _outputs(other, scored, range(len(scored)), options, "comparing")
    predicted = PredictedPhotos.of(other.info, Postprocessor.of(other), outputs, targets.tolist())
    places = np.array(predicted.scored_positions, dtype=np.int64)
    if not len(places):
        raise UsageError(f"{other.info.name} knows none of the labels that are compared")
    this, that = (right[0][places], right[1][places]), (predicted.answers == predicted.targets, predicted.answered)
    return compare(this, that, units[places], model_facts(other, outputs.engine))


def _data_facts(
    source: str,
    options: EvaluateOptions,
    selection: Selection,
    info: BundleInfo,
    rows: Sequence[PhotoRow],
    units: NDArray[np.int64],
) -> DataFacts:
    scored = [row for row in rows if row.correct is not None]
    there = {row.truth for row in scored}
    unknown = Counter(row.truth for row in rows if row.error is None and not row.known)
    return DataFacts(
        source=source,
        version=selection.version,
        split=selection.split,
        wanted=options.split,
        others=list(options.unknown.words),
        photos=len(rows),
        scored=len(scored),
        unknown=sum(unknown.values()),
        unreadable=sum(row.error is not None for row in rows),
        left_out=selection.left_out,
        unknown_labels=dict(unknown.most_common()),
        missing_labels=[label.name for label in info.labels if label.name not in there],
        seen=sum(row.seen for row in scored),
        seen_known=selection.seen_known,
        groups=len({row.group for row in scored if row.group is not None}),
        units=len(np.unique(units)),
    )


def _with_neighbours(
    rows: Sequence[PhotoRow],
    examples: NotablePhotos,
    outputs: Outputs,
    reference: TrainingReference,
    labels: Sequence[str],
) -> list[PhotoRow]:
    """Rows with their most similar training photos, where a page would show them."""
    shown = {
        *examples.confident_mistakes,
        *examples.uncertain,
        *examples.unknown_accepted,
        *examples.known_refused,
        *(index for places in examples.typical.values() for index in places),
    }
    place = {index: row for row, index in enumerate(outputs.positions.tolist())}
    chosen = sorted(shown & place.keys())
    nearest = reference.nearest(outputs.embedding[[place[index] for index in chosen]], labels) if chosen else []
    found = {
        index: [Neighbour(path=one.path, label=one.label, similarity=one.similarity) for one in near]
        for index, near in zip(chosen, nearest, strict=True)
    }
    return [row.model_copy(update={"nearest": found.get(index, [])}) for index, row in enumerate(rows)]


def _refuse_none(scored: Sequence[Subject], outputs: Outputs) -> None:
    if not scored:
        first = next(iter(outputs.errors.values()), "unreadable")
        raise AnimalsError(f"none of the photos with a label that the model knows could be read; the first: {first}")


def _warnings(scored: Sequence[Subject], bundle: Bundle) -> list[str]:
    seen = sum(subject.seen for subject in scored)
    if not seen:
        return []
    return [
        f"{bundle.info.name} has seen {seen} of these {len(scored)} photos, or copies of them, in training or "
        "calibration: the numbers are better than they would be on new photos"
    ]

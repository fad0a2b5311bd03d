"""What a page says of the photos and of where everything comes from, and what its numbers do not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animal_classification.evaluation.eval_set import NOTHING
from animal_classification.evaluation.model_comparison import finding
from animal_classification.evaluation.result import DataFacts, Evaluation, Interval, ModelComparison
from animal_classification.install_hint import DISTRIBUTION
from animal_classification.report.numbers import count, listed, percent, photos, points, significant
from animal_classification.report.summary import FEW_PHOTOS

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.report.report_inputs import ReportInputs

Fact = tuple[str, str]
_NAMED = 8
_COMMIT = 12


def data_facts(result: Evaluation) -> list[Fact]:
    """The photos, in numbers."""
    data = result.data
    split = "all of it" if data.split == "all" else f"split {data.split}"
    found = [
        ("source", f"{data.source}, {split}"),
        ("photos", count(data.photos)),
        ("of the model's classes", count(data.scored)),
        ("independent of each other", _units(data)),
        ("of none of its classes", _unknown(data)),
        ("that could not be used", count(data.unreadable)),
    ]
    if data.left_out:
        found.append(("not looked at", listed([f"{count(n)} {reason}" for reason, n in data.left_out.items()])))
    if data.missing_labels:
        missing = f"{count(len(data.missing_labels))}: {_some(data.missing_labels)}"
        found.append(("classes without a photo", missing))
    if data.seen:
        found.append(("seen in training", count(data.seen)))
    return found


def provenance(result: Evaluation, bundle: Bundle | None, inputs: ReportInputs) -> list[Fact]:
    """Everything that decides what comes out."""
    model = result.model
    found = [("model", f"{model.name}, version {model.version}"), ("bundle.json, SHA-256", model.sha256)]
    if model.recipe:
        found.append(("training recipe", model.recipe))
    if model.n_train is not None:
        found.append(("trained on", photos(model.n_train)))
    found += [("training data, version", model.data_version), ("these data, version", result.data.version)]
    if bundle is not None:
        code = bundle.info.code
        commit = f", commit {code.git[:_COMMIT]}" if code.git else ""
        found.append(("made by", f"{DISTRIBUTION} {code.version}{commit}"))
    found += [
        ("measured by", f"{DISTRIBUTION} {inputs.program}, engine {model.engine}"),
        ("measured on", inputs.created.strftime("%d %B %Y, %H:%M %Z").strip()),
    ]
    return found


def limits(result: Evaluation) -> list[str]:
    """What a reader might think that the numbers say, and they do not."""
    data = result.data
    found = [
        "The numbers are about photos like those measured. A model that is right on held-out photos of one source "
        "is right less often at a new place, with another camera or in another season.",
        "It answers with one animal where a photo shows several, and with the best of its classes for any animal.",
    ]
    if data.seen:
        seen = photos(data.seen)
        found.insert(0, f"The model was trained or calibrated with {seen} of these: the numbers are too good.")
    elif not data.seen_known:
        found.insert(0, "Whether the model was trained with some of these photos, or copies of them, is not known.")
    few = sum(0 < one.n < FEW_PHOTOS for one in result.classes)
    if few:
        found.append(
            f"{count(few)} of its classes have fewer than {FEW_PHOTOS} photos here: a single photo moves their numbers "
            "by points."
        )
    if data.missing_labels:
        found.append(f"Nothing is known about the {count(len(data.missing_labels))} classes without a photo here.")
    if not data.groups:
        found.append(
            "Sites and sequences are not named, so photos of one animal may stand on both sides of the division."
        )
    if result.sets is not None:
        found.append("Prediction sets keep their promise on average over photos, not for every class.")
    if result.unknown is None or result.unknown.auroc is None:
        found.append("What it says of photos of other things was not measured.")
    return found


def comparison(measured: ModelComparison | None) -> tuple[str, list[Fact]] | None:
    """Another model on the same photos: in words, and in numbers."""
    if measured is None:
        return None
    told, other = measured.answered_right, measured.other.name

    def words(difference: Interval, p_value: float) -> str:
        value, low, high = (points(one, signed=True) for one in (difference.value, difference.low, difference.high))
        said = finding(difference, p_value, other)
        return f"{said}: {value} points (95% interval {low} to {high}), p = {significant(p_value)}."

    both = (
        f"What people are told: {words(told.difference, told.p_value)} "
        f"Labels: {words(measured.difference, measured.p_value)}"
    )
    return both, [
        ("photos of labels that both know", count(measured.n)),
        ("independent of each other", count(measured.units)),
        ("told right, this model", percent(told.this)),
        (f"told right, {other}", percent(told.that)),
        ("right label, this model", percent(measured.accuracy)),
        (f"right label, {other}", percent(measured.other_accuracy)),
        ("right label in this one only", count(measured.only_this)),
        ("right label in the other only", count(measured.only_other)),
    ]


def _units(data: DataFacts) -> str:
    units = count(data.units)
    if not data.groups:
        return f"{units} (copies of one picture count once)"
    return f"{units} (copies, and photos of one of the {count(data.groups)} groups, count once)"


def _unknown(data: DataFacts) -> str:
    names = [name for name in data.unknown_labels if name != NOTHING]
    return f"{count(data.unknown)}: {_some(names)}" if names else count(data.unknown)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")

"""What a page says of the photos and of where everything comes from, and what its numbers do not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animal_classification.evaluation.eval_set import NOTHING
from animal_classification.evaluation.model_comparison import finding
from animal_classification.evaluation.result import DataFacts, Evaluation, Interval, ModelComparison
from animal_classification.install_hint import DISTRIBUTION
from animal_classification.report.numbers import Ledger, Sentence, Shown, listed, say
from animal_classification.report.summary import FEW_PHOTOS, photos

if TYPE_CHECKING:
    from animal_classification.report.report_inputs import Measurement

Fact = tuple[str, object]
_NAMED = 8
_COMMIT = 12


def data_facts(result: Evaluation, numbers: Ledger) -> list[Fact]:
    """The photos, in numbers."""
    data = result.data
    found: list[Fact] = [
        ("source", f"{data.source}, {_split(data.split)}"),
        ("photos", numbers.count("data.photos", data.photos)),
        ("of the model's classes", numbers.count("data.scored", data.scored)),
        ("independent of each other", _units(data, numbers)),
        ("of none of its classes", _unknown(data, numbers)),
        ("that could not be used", numbers.count("data.unreadable", data.unreadable)),
    ]
    if data.left_out:
        parts = [
            say("{} {}", numbers.count(f"data.left_out.{place}", count), reason)
            for place, (reason, count) in enumerate(data.left_out.items())
        ]
        found.append(("not looked at", listed(parts)))
    if data.missing_labels:
        count = numbers.count("data.missing_labels", len(data.missing_labels))
        found.append(("classes without a photo", say("{}: {}", count, _some(data.missing_labels))))
    if data.seen:
        found.append(("seen in training", numbers.count("data.seen", data.seen)))
    return found


def provenance(measurement: Measurement, numbers: Ledger) -> list[Fact]:
    """Everything that decides what comes out."""
    result, bundle, recipe = measurement.result, measurement.bundle, measurement.recipe
    model = result.model
    found: list[Fact] = [("model", f"{model.name}, version {model.version}"), ("bundle.json, SHA-256", model.sha256)]
    if model.recipe:
        found.append(("training recipe", model.recipe))
    if model.n_train is not None:
        found.append(("trained on", photos(numbers.count("model.n_train", model.n_train))))
    found += [("training data, version", model.data_version), ("these data, version", result.data.version)]
    if bundle is not None:
        code = bundle.info.code
        commit = f", commit {code.git[:_COMMIT]}" if code.git else ""
        found.append(("made by", f"{DISTRIBUTION} {code.version}{commit}"))
    found += [
        ("measured by", f"{DISTRIBUTION} {recipe.program}, engine {model.engine}"),
        ("measured on", recipe.created.strftime("%d %B %Y, %H:%M %Z").strip()),
    ]
    return found


def limits(result: Evaluation, numbers: Ledger) -> list[Sentence]:
    """What a reader might think that the numbers say, and they do not."""
    data = result.data
    found = [
        say(
            "The numbers are about photos like those measured. A model that is right on held-out photos of one source "
            "is right less often at a new place, with another camera or in another season."
        ),
        say("It answers with one animal where a photo shows several, and with the best of its classes for any animal."),
    ]
    if data.seen:
        seen = photos(numbers.count("data.seen", data.seen))
        found.insert(0, say("The model was trained or calibrated with {} of these: the numbers are too good.", seen))
    elif not data.seen_known:
        found.insert(
            0, say("Whether the model was trained with some of these photos, or copies of them, is not known.")
        )
    few = sum(0 < one.n < FEW_PHOTOS for one in result.classes)
    if few:
        found.append(
            say(
                f"{{}} of its classes have fewer than {FEW_PHOTOS} photos here: a single photo moves their numbers by "
                "points.",
                numbers.count("classes.few", few),
            )
        )
    if data.missing_labels:
        count = numbers.count("data.missing_labels", len(data.missing_labels))
        found.append(say("Nothing is known about the {} classes without a photo here.", count))
    if not data.groups:
        found.append(
            say("Sites and sequences are not named, so photos of one animal may stand on both sides of the division.")
        )
    if result.sets is not None:
        found.append(say("Prediction sets keep their promise on average over photos, not for every class."))
    if result.unknown is None or result.unknown.auroc is None:
        found.append(say("What it says of photos of other things was not measured."))
    return found


def comparison(measured: ModelComparison | None, numbers: Ledger) -> tuple[Sentence, list[Fact]] | None:
    """Another model on the same photos: in words, and in numbers."""
    if measured is None:
        return None
    told, other = measured.answered_right, measured.other.name

    def words(key: str, difference: Interval, p_value: float) -> Sentence:
        return say(
            "{}: {} points (95% interval {} to {}), p = {}.",
            finding(difference, p_value, other),
            numbers.points(f"{key}.difference.value", difference.value, signed=True),
            numbers.points(f"{key}.difference.low", difference.low, signed=True),
            numbers.points(f"{key}.difference.high", difference.high, signed=True),
            numbers.significant(f"{key}.p_value", p_value),
        )

    both = say(
        "What people are told: {} Labels: {}",
        words("comparison.answered_right", told.difference, told.p_value),
        words("comparison", measured.difference, measured.p_value),
    )
    return both, [
        ("photos of labels that both know", numbers.count("comparison.n", measured.n)),
        ("independent of each other", numbers.count("comparison.units", measured.units)),
        ("told right, this model", numbers.percent("comparison.answered_right.this", told.this)),
        (f"told right, {other}", numbers.percent("comparison.answered_right.that", told.that)),
        ("right label, this model", numbers.percent("comparison.accuracy", measured.accuracy)),
        (f"right label, {other}", numbers.percent("comparison.other_accuracy", measured.other_accuracy)),
        ("right label in this one only", numbers.count("comparison.only_this", measured.only_this)),
        ("right label in the other only", numbers.count("comparison.only_other", measured.only_other)),
    ]


def _units(data: DataFacts, numbers: Ledger) -> Sentence:
    units = numbers.count("data.units", data.units)
    if not data.groups:
        return say("{} (copies of one picture count once)", units)
    groups = numbers.count("data.groups", data.groups)
    return say("{} (copies, and photos of one of the {} groups, count once)", units, groups)


def _unknown(data: DataFacts, numbers: Ledger) -> Shown | Sentence:
    count = numbers.count("data.unknown", data.unknown)
    names = [name for name in data.unknown_labels if name != NOTHING]
    return say("{}: {}", count, _some(names)) if names else count


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")


def _split(name: str) -> str:
    return "all of it" if name == "all" else f"split {name}"

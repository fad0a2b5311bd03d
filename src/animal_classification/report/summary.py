"""The verdict: how good it is and where it fails, for somebody who has one minute and has never heard of it."""

from __future__ import annotations

from dataclasses import dataclass

from animal_classification.evaluation.result import ClassResult, Evaluation, UnknownResult
from animal_classification.report.numbers import Ledger, Sentence, Shown, listed, say

# By the lower end of the interval of what people are told rightly.
GRADES = ((0.9, "Very good"), (0.8, "Good"), (0.6, "Fair"), (0.0, "Weak"))
# Calibration errors below this are smaller than what anybody acts on.
SMALL_ERROR = 0.03
FEW_PHOTOS = 20
_WEAKEST = 3


@dataclass(frozen=True)
class SummaryPoint:
    """One thing to know: a few words, and what there is to say."""

    title: str
    text: Sentence


@dataclass(frozen=True)
class HeadlineNumber:
    """One large number: what it is, its interval or whatever else belongs to it."""

    number: Shown
    name: str
    note: Sentence


def grade(result: Evaluation) -> str:
    """One or two words for how good it is."""
    return next(word for least, word in GRADES if result.overall.answered_right.low >= least)


def grades() -> str:
    """What the words mean."""
    (least, best), *others = [(f"{100 * share:.0f}%", word) for share, word in GRADES if share]
    rest = "".join(f"; {word.lower()}: {share}" for share, word in others)
    return f"{best}: at least {least} told right at the lower end of the interval{rest}."


def headline(result: Evaluation, numbers: Ledger) -> Sentence:
    """How good, in a sentence."""
    apart = " that were kept apart from its training" if kept_apart(result) else ""
    return say(
        "{}. It names the animal in {} of {}" + apart + ".",
        grade(result) + (" on photos like these" if not result.data.seen else ", but on photos that it knows"),
        numbers.percent("overall.answered_right.value", result.overall.answered_right.value),
        photos(numbers.count("data.scored", result.data.scored)),
    )


def kept_apart(result: Evaluation) -> bool:
    """Whether the model has certainly not seen the photos; of some models nobody knows what they have seen."""
    return result.data.seen_known and not result.data.seen


def points(result: Evaluation, numbers: Ledger) -> list[SummaryPoint]:
    """What a stranger must know, the most important first."""
    found = [
        SummaryPoint("How good", _how_good(result, numbers)),
        SummaryPoint("Where it fails", _where_it_fails(result, numbers)),
        SummaryPoint("Its percentages", _percentages(result, numbers)),
    ]
    if result.sets is not None:
        found.append(SummaryPoint("More than one answer", _sets(result, numbers)))
    found.append(SummaryPoint("Photos of something else", something_else(result.unknown, numbers)))
    found.append(SummaryPoint("Holds for", _holds_for(result, numbers)))
    return found


def cards(result: Evaluation, numbers: Ledger) -> list[HeadlineNumber]:
    """The numbers that are asked for first."""
    overall, after = result.overall, result.calibration.after
    found = [
        HeadlineNumber(
            numbers.percent(f"overall.{name}.value", number.value),
            words,
            say(
                "95% interval {} to {}",
                numbers.percent(f"overall.{name}.low", number.low),
                numbers.percent(f"overall.{name}.high", number.high),
            ),
        )
        for name, words, number in (
            ("answered_right", "told right", overall.answered_right),
            ("accuracy", "right label", overall.accuracy),
            ("balanced_accuracy", "right label, every class alike", overall.balanced_accuracy),
        )
    ]
    found += [
        HeadlineNumber(numbers.percent(f"overall.top.{k}", share), f"right among its first {k}", say(""))
        for k, share in overall.top.items()
        if k == 3
    ]
    found.append(
        HeadlineNumber(
            numbers.percent("calibration.after.ece", after.ece),
            "error of its percentages",
            say("{} by chance alone", numbers.percent("calibration.after.ece_by_chance", after.ece_by_chance)),
        )
    )
    if result.unknown is not None and result.unknown.refused_unknown is not None:
        found.append(
            HeadlineNumber(
                numbers.percent("unknown.refused_unknown", result.unknown.refused_unknown),
                "of other photos refused",
                say("of {}", numbers.count("unknown.n", result.unknown.n)),
            )
        )
    return found


def weakest(result: Evaluation) -> list[tuple[int, ClassResult]]:
    """Classes with photos, with their positions, the least recognised first."""
    there = [(place, one) for place, one in enumerate(result.classes) if one.n]
    return sorted(there, key=lambda pair: (pair[1].recall, -pair[1].n, pair[1].name))


def photos(count: Shown) -> Sentence:
    """``1 photo``, ``2 photos``."""
    return say("{} photo" if count.value == 1 else "{} photos", count)


def _how_good(result: Evaluation, numbers: Ledger) -> Sentence:
    told, accuracy, data = result.overall.answered_right, result.overall.accuracy, result.data
    text = say(
        "{} of {} are named rightly. On other photos of this kind, expect between {} and {}.",
        numbers.count("overall.told_right", round(told.value * data.scored)),
        photos(numbers.count("data.scored", data.scored)),
        numbers.percent("overall.answered_right.low", told.low),
        numbers.percent("overall.answered_right.high", told.high),
    )
    if told.value != accuracy.value:
        text = say(
            "{} Its most probable label is the right one in {}: what people get is less where it calls its own animals "
            "unknown, and more where it answers with a group.",
            text,
            numbers.percent("overall.accuracy.value", accuracy.value),
        )
    if data.groups:
        groups, units = numbers.count("data.groups", data.groups), numbers.count("data.units", data.units)
        text = say("{} The photos come from {} groups: they count as {} observations.", text, groups, units)
    return text


def _where_it_fails(result: Evaluation, numbers: Ledger) -> Sentence:
    low = [(place, one) for place, one in weakest(result) if one.recall < 1][:_WEAKEST]
    if not low:
        return say("Nowhere on these photos: every one is named rightly.")
    named = [
        say(
            "{} ({} of {})",
            one.name,
            numbers.percent(f"classes.{place}.recall", one.recall),
            numbers.count(f"classes.{place}.n", one.n),
        )
        for place, one in low
    ]
    text = say("It recognises {} least.", listed(named, last=" and "))
    if result.confusion.pairs:
        truth, answer, count = result.confusion.pairs[0]
        often = say("once") if count == 1 else say("{} times", numbers.count("confusion.pairs.0", count))
        text = say("{} Its commonest mistake: {} taken for {}, {}.", text, truth, answer, often)
    return text


def _percentages(result: Evaluation, numbers: Ledger) -> Sentence:
    after = result.calibration.after
    off = numbers.points("calibration.after.ece.points", after.ece)
    chance = numbers.points("calibration.after.ece_by_chance.points", after.ece_by_chance)
    confidence = sum(bar.n * bar.confidence for bar in after.bins) / max(sum(bar.n for bar in after.bins), 1)
    if after.ece <= max(SMALL_ERROR, 1.5 * after.ece_by_chance):
        words = "Can be taken at their word: {} points off on average, where chance alone makes {}."
    elif confidence > result.overall.accuracy.value:
        words = "Too sure: {} points off on average, where chance alone makes {}."
    else:
        words = "Too modest: {} points off on average, where chance alone makes {}."
    return say(words, off, chance)


def _sets(result: Evaluation, numbers: Ledger) -> Sentence:
    sets = result.sets
    assert sets is not None
    return say(
        "The list of possible animals that comes with each answer has {} names on average and holds the right one "
        "in {} of photos.",
        numbers.decimal("sets.mean_size", sets.mean_size, 2),
        numbers.percent("sets.coverage_shown", sets.coverage_shown),
    )


def something_else(measured: UnknownResult | None, numbers: Ledger) -> Sentence:
    if measured is None:
        return say("It answers with one of its animals whatever the photo shows: it has no rule for unknown photos.")
    own = measured.refused_known
    wrongly = say("{} of its own animals", numbers.percent("unknown.refused_known", own)) if own is not None else None
    if measured.refused_unknown is None:
        text = say("Not measured here: there were no photos of anything else.")
        return say("{} It calls {} unknown.", text, wrongly) if wrongly else text
    text = say(
        "It calls {} of {} that show none of its animals unknown",
        numbers.percent("unknown.refused_unknown", measured.refused_unknown),
        photos(numbers.count("unknown.n", measured.n)),
    )
    return say("{}, and, wrongly, {}.", text, wrongly) if wrongly else say("{}.", text)


def _holds_for(result: Evaluation, numbers: Ledger) -> Sentence:
    there = [one for one in result.classes if one.n]
    few = sum(one.n < FEW_PHOTOS for one in there)
    text = say(
        "Photos like these, of {} kinds of animals. Other cameras, places and seasons: measure again.",
        numbers.count("classes.there", len(there)),
    )
    if not few:
        return text
    return say(
        f"{{}} {{}} of these have fewer than {FEW_PHOTOS} photos: the numbers of single classes are rough.",
        text,
        numbers.count("classes.few", few),
    )

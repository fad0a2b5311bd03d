"""The verdict: how good it is and where it fails, for somebody who has one minute and has never heard of it."""

from __future__ import annotations

from dataclasses import dataclass

from animal_classification.evaluation.result import ClassResult, Evaluation, UnknownResult
from animal_classification.report.numbers import count, decimal, listed, percent, percent_range, photos, points

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
    text: str


@dataclass(frozen=True)
class HeadlineNumber:
    """One large number: what it is, its interval or whatever else belongs to it."""

    number: str
    name: str
    note: str


def grade(result: Evaluation) -> str:
    """One or two words for how good it is."""
    return next(word for least, word in GRADES if result.overall.answered_right.low >= least)


def grades() -> str:
    """What the words mean."""
    (least, best), *others = [(percent(share, 0), word) for share, word in GRADES if share]
    rest = "".join(f"; {word.lower()}: {share}" for share, word in others)
    return f"{best}: at least {least} told right at the lower end of the interval{rest}."


def headline(result: Evaluation) -> str:
    """How good, in a sentence."""
    where = ", but on photos that it knows" if result.data.seen else " on photos like these"
    right, scored = percent(result.overall.answered_right.value), photos(result.data.scored)
    apart = " that were kept apart from its training" if kept_apart(result) else ""
    return f"{grade(result)}{where}. It names the animal in {right} of {scored}{apart}."


def kept_apart(result: Evaluation) -> bool:
    """Whether the model has certainly not seen the photos; of some models nobody knows what they have seen."""
    return result.data.seen_known and not result.data.seen


def summary_points(result: Evaluation) -> list[SummaryPoint]:
    """What a stranger must know, the most important first."""
    found = [
        SummaryPoint("How good", _how_good(result)),
        SummaryPoint("Where it fails", _where_it_fails(result)),
        SummaryPoint("Its percentages", _percentages(result)),
    ]
    if result.sets is not None:
        found.append(
            SummaryPoint(
                "More than one answer",
                "The list of possible animals that comes with each answer has "
                f"{decimal(result.sets.mean_size, 2)} names on average and holds the right one in "
                f"{percent(result.sets.coverage_shown)} of photos.",
            )
        )
    found.append(SummaryPoint("Photos of something else", something_else(result.unknown)))
    found.append(SummaryPoint("Holds for", _holds_for(result)))
    return found


def headline_numbers(result: Evaluation) -> list[HeadlineNumber]:
    """The numbers that people ask for first."""
    overall, after, unknown = result.overall, result.calibration.after, result.unknown
    found = [
        HeadlineNumber(percent(number.value), words, f"95% interval {percent_range(number)}")
        for words, number in (
            ("told right", overall.answered_right),
            ("right label", overall.accuracy),
            ("right label, every class alike", overall.balanced_accuracy),
        )
    ]
    found += [
        HeadlineNumber(percent(share), f"right among its first {k}", "") for k, share in overall.top.items() if k == 3
    ]
    chance = f"{percent(after.ece_by_chance)} by chance alone"
    found.append(HeadlineNumber(percent(after.ece), "error of its percentages", chance))
    if unknown is not None and unknown.refused_unknown is not None:
        refused = percent(unknown.refused_unknown)
        found.append(HeadlineNumber(refused, "of other photos refused", f"of {count(unknown.n)}"))
    return found


def weakest(result: Evaluation) -> list[ClassResult]:
    """Classes with photos, the least recognised first."""
    return sorted((one for one in result.classes if one.n), key=lambda one: (one.recall, -one.n, one.name))


def _how_good(result: Evaluation) -> str:
    told, accuracy, data = result.overall.answered_right, result.overall.accuracy, result.data
    text = (
        f"{count(round(told.value * data.scored))} of {photos(data.scored)} are named rightly. On other photos of "
        f"this kind, expect between {percent(told.low)} and {percent(told.high)}."
    )
    if told.value != accuracy.value:
        text += (
            f" Its most probable label is the right one in {percent(accuracy.value)}: what people get is less where it "
            "calls its own animals unknown, and more where it answers with a group."
        )
    if data.groups:
        text += f" The photos come from {count(data.groups)} groups: they count as {count(data.units)} observations."
    return text


def _where_it_fails(result: Evaluation) -> str:
    low = [one for one in weakest(result) if one.recall < 1][:_WEAKEST]
    if not low:
        return "Nowhere on these photos: every one is named rightly."
    named = listed([f"{one.name} ({percent(one.recall)} of {count(one.n)})" for one in low], last=" and ")
    text = f"It recognises {named} least."
    if result.confusion.pairs:
        truth, answer, n = result.confusion.pairs[0]
        often = "once" if n == 1 else f"{count(n)} times"
        text += f" Its commonest mistake: {truth} taken for {answer}, {often}."
    return text


def _percentages(result: Evaluation) -> str:
    after = result.calibration.after
    confidence = sum(bar.n * bar.confidence for bar in after.bins) / max(sum(bar.n for bar in after.bins), 1)
    if after.ece <= max(SMALL_ERROR, 1.5 * after.ece_by_chance):
        words = "Can be taken at their word"
    else:
        words = "Too sure" if confidence > result.overall.accuracy.value else "Too modest"
    return (
        f"{words}: {points(after.ece)} points off on average, where chance alone makes {points(after.ece_by_chance)}."
    )


def something_else(measured: UnknownResult | None) -> str:
    """What it does with photos that show none of its animals."""
    if measured is None:
        return "It answers with one of its animals whatever the photo shows: it has no rule for unknown photos."
    wrongly = None if measured.refused_known is None else f"{percent(measured.refused_known)} of its own animals"
    if measured.refused_unknown is None:
        text = "Not measured here: there were no photos of anything else."
        return f"{text} It calls {wrongly} unknown." if wrongly else text
    refused, n = percent(measured.refused_unknown), photos(measured.n)
    text = f"It calls {refused} of {n} that show none of its animals unknown"
    return f"{text}, and, wrongly, {wrongly}." if wrongly else f"{text}."


def _holds_for(result: Evaluation) -> str:
    there = [one for one in result.classes if one.n]
    few = sum(one.n < FEW_PHOTOS for one in there)
    text = (
        f"Photos like these, of {count(len(there))} kinds of animals. Other cameras, places and seasons: measure again."
    )
    if few:
        text += f" {count(few)} of these have fewer than {FEW_PHOTOS} photos: the numbers of single classes are rough."
    return text

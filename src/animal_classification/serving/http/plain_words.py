"""An answer in plain English: what the model is sure of, what it is not, and what else it might be.

The one place for it: the API hands it out (`words=true`), and the page and Gradio's front end show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from animal_classification.inference.postprocess import UNFAMILIAR_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animal_classification.bundle import BundleInfo
    from animal_classification.inference import Candidate, Prediction

SURE = 0.95
FAIRLY_SURE = 0.8
# A thing in the background that is less probable than this is not named: "an alp" helps nobody who sees a deer.
LOOKS_LIKE = 0.5
# A runner-up below this is not worth a person's time.
MENTION = 0.1
_BREEDS = {"dog", "domestic cat", "domestic horse", "domestic pig", "domestic sheep", "domestic cattle"}
# Spelt with a vowel, spoken with a consonant.
_SPOKEN_CONSONANT = ("eu", "ewe", "uni")


@dataclass(frozen=True, slots=True)
class Words:
    """What is said about one photo.

    Attributes:
        headline: The name, large.
        sentence: How sure, and what else it might be.
        lineage: From coarse to fine, such as ``cat``, ``big cat``; empty for what is no animal.
        taxon: Scientific name, where known and sure.
    """

    headline: str
    sentence: str
    lineage: tuple[str, ...] = ()
    taxon: str | None = None


def in_words(prediction: Prediction, info: BundleInfo) -> Words:
    """Say what a prediction means."""
    answer = prediction.answer
    if answer.level == "label":
        label = next((label for label in info.labels if label.id == prediction.label_id), None)
        sentence = f"{_confidence(answer.probability)} {_runner_up(prediction)}".strip()
        return Words(headline(answer.name), sentence, label.groups if label else (), label.taxon if label else None)
    if answer.level == "group":
        return _group_words(prediction, info)
    if answer.level == "known":
        return Words("An animal", f"I cannot tell which: perhaps {_guesses(prediction.top)}.")
    if answer.name == UNFAMILIAR_NAME:
        return Words("Unknown", "It resembles none of the animals that I know.")
    return Words("No animal found", f"At least none that I know. {_resemblance(prediction)}".strip())


def headline(name: str) -> str:
    """A name as a title: only its first letter changes, since ``Bernese`` and ``king`` are spelt as they are."""
    return name[:1].upper() + name[1:]


def percent(probability: float) -> str:
    """A probability for people, which is never quite certain."""
    if probability >= 0.995:
        return ">99%"
    if 0 < probability < 0.005:
        return "<1%"
    return f"{100 * probability:.0f}%"


def with_article(name: str) -> str:
    """``a dog``, ``an otter``."""
    lowered = name.lower()
    vowel = lowered[:1] in {"a", "e", "i", "o", "u"} and not lowered.startswith(_SPOKEN_CONSONANT)
    return f"{'an' if vowel else 'a'} {name}"


def listing(names: Sequence[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} or {names[-1]}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 photo``, ``2 photos``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def _confidence(probability: float) -> str:
    if probability >= SURE:
        return f"I am sure: {percent(probability)}."
    if probability >= FAIRLY_SURE:
        return f"I am fairly sure: {percent(probability)}."
    return f"This is my best guess: {percent(probability)}."


def _group_words(prediction: Prediction, info: BundleInfo) -> Words:
    name, probability = prediction.answer.name, prediction.answer.probability
    paths = {label.id: label.groups for label in info.labels if name in label.groups}
    path = next(iter(paths.values()), ())
    lineage = path[: path.index(name)] if path else ()
    degree = "sure" if probability >= SURE else "fairly sure" if probability >= FAIRLY_SURE else "inclined to think"
    kind = "breed" if _BREEDS & {name, *lineage} else "kind"
    # Only what belongs to the group: "a crab, perhaps a duck" would take back what was just said.
    inside = [item for item in prediction.top if item.label_id in paths]
    perhaps = f": perhaps {_guesses(inside)}" if inside else ""
    return Words(headline(name), f"I am {degree} it is {with_article(name)}, but not which {kind}{perhaps}.", lineage)


def _resemblance(prediction: Prediction) -> str:
    """What the photo looks like, only where that is more probable than everything else together."""
    if prediction.background is None or prediction.background_probability < LOOKS_LIKE:
        return ""
    return f"The photo looks like {with_article(prediction.background)}."


def _runner_up(prediction: Prediction) -> str:
    others = [item.label for item in prediction.top[1:3] if item.probability >= MENTION]
    return f"It could also be {listing([with_article(name) for name in others])}." if others else ""


def _guesses(candidates: Sequence[Candidate]) -> str:
    names = [item.label for item in candidates[:3] if item.probability >= candidates[0].probability / 3]
    return listing([with_article(name) for name in names])

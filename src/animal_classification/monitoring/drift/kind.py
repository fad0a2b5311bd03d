"""Which kind of difference it is, and a sentence that a person with a pager understands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animal_classification.imaging.statistics import NAMES
from animal_classification.monitoring.drift.accuracy_estimate import StrangersThere
from animal_classification.monitoring.drift.likely_cause import likely_cause
from animal_classification.monitoring.drift.verdict import DriftTests, Kind

# Means of the twelve numbers that moved less say nothing, in deviations of the reference.
NOTABLE_SHIFT = 0.2
# What the p of the known photos' numbers must not exceed, once one of the four tests has fired.
IMAGE_ALPHA = 0.01
# From this p of the content on, there may be strangers that are too few to be sure of: so in one clean window of five.
SUSPICION = 0.2
# Strangers that look so different are photos that were taken otherwise, and not other animals.
STRANGE_LOOK = 1.25
# Of the strangers, so many from one source make it the one to look at.
ONE_SOURCE = 0.8
# Where strangers are left out and so much of the difference stays, all photos look otherwise, some of them so much that
# they count as strangers: a turned camera leaves 0.8 of it, new animals 0.2 at most.
ALL_LOOK = 0.6
# A source whose photos moved so far, in deviations, while those from elsewhere moved a quarter of it at most, is the
# one to look at.
_SOURCE_SHIFT, _ELSEWHERE = 0.8, 0.25
_OTHER_LOOK = (
    "the animals look otherwise to the model, while light and sharpness are as before: another view, distance or "
    "background, or another kind of the same animals"
)

_WORDS: dict[tuple[str, bool], tuple[str, str]] = {
    ("brightness", False): ("are darker", "low light, a wrong exposure or a covered lens"),
    ("brightness", True): ("are brighter", "overexposure, snow or a flash too near"),
    ("contrast", False): ("have less contrast", "fog, backlight, a dirty or wet lens"),
    ("contrast", True): ("have more contrast", "hard light or a flash"),
    ("dark", True): ("have more black areas", "night, a covered lens or underexposure"),
    ("dark", False): ("have fewer black areas", "fog, haze or another exposure"),
    ("bright", True): ("have more white areas", "overexposure, sky or snow"),
    ("bright", False): ("have fewer white areas", "underexposure or dusk"),
    ("saturation", False): ("have less colour", "night, infra-red or haze"),
    ("saturation", True): ("have more colour", "another camera, or its settings"),
    ("cast", False): ("are bluer", "another white balance or light"),
    ("cast", True): ("are redder", "another white balance, evening or lamp light"),
    ("entropy", False): ("have fewer shades", "fog, darkness, or much of one grey"),
    ("entropy", True): ("have more shades", "noise or another exposure"),
    ("sharpness", False): ("are less sharp", "out of focus, movement, a dirty lens or strong compression"),
    ("sharpness", True): ("are sharper", "noise, or another camera"),
    ("edges", False): ("have more horizontal edges", "a turned camera or another view"),
    ("edges", True): ("have more vertical edges", "a turned camera or another view"),
    ("noise", True): ("are noisier", "little light, or a sensor that fails"),
    ("noise", False): ("have less grain", "out of focus, strong compression or a smoothing camera"),
    ("vignette", False): ("are darker at the border than in the middle", "a flash at night, or animals in the middle"),
    ("vignette", True): ("are brighter at the border than in the middle", "backlight, or another view"),
    ("coarse", True): ("have their contrast in large areas", "out of focus, or animals nearer"),
    ("coarse", False): ("have their contrast in small parts", "noise, or animals farther away"),
}


@dataclass(frozen=True)
class SourceShifts:
    """The photos of one source beside those from elsewhere: their share, and how far the numbers of each moved."""

    share: float
    own: NDArray[np.float64]
    elsewhere: NDArray[np.float64]

    @property
    def alone(self) -> bool:
        """Whether this source moved and the others did not."""
        place = int(np.abs(self.own).argmax())
        own, elsewhere = abs(float(self.own[place])), abs(float(self.elsewhere[place]))
        return own >= _SOURCE_SHIFT and elsewhere <= _ELSEWHERE * own


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the kind is decided on.

    Attributes:
        fired: Which of the four tests found a difference.
        tests: Their results.
        image_of_known: p of the numbers of photos that are no strangers, within predicted classes.
        look_of_known: p of their embeddings.
        look_left: How large their difference is, as a share of that of all photos.
        shifts_by_source: For each source of several: its share of the window, and its own ``shifts`` and those of the
            photos from elsewhere.
        strangers: Which photos of the window are strangers, ``[N]``.
        shifts: How far the mean of each of the twelve numbers moved, ``[12]``, in deviations of the reference.
        strangers_shifts: The same of the medians, for the strangers alone.
        sources: Where each photo of the window comes from, ``[N]``.
        alpha: What p must not exceed.
    """

    fired: frozenset[str]
    tests: DriftTests
    image_of_known: float
    look_of_known: float
    look_left: float
    shifts_by_source: Mapping[str, SourceShifts]
    strangers: NDArray[np.bool_]
    shifts: NDArray[np.float64]
    strangers_shifts: NDArray[np.float64]
    sources: tuple[str, ...]
    alpha: float

    @property
    def strangers_source(self) -> str | None:
        """The source of nearly all strangers, where the window has several sources."""
        if len(set(self.sources)) < 2 or not self.strangers.any():
            return None
        from_where = Counter(self.sources[place] for place in np.flatnonzero(self.strangers).tolist())
        source, count = from_where.most_common(1)[0]
        return source if source and count > ONE_SOURCE * int(self.strangers.sum()) else None


@dataclass(frozen=True)
class KindOfDrift:
    """The kind, which photos have it, the sentence, and whether photos may show what the model does not know."""

    kind: Kind
    says: str
    part: float | None = None
    source: str | None = None
    strangers: StrangersThere = "no"


def kind_of(evidence: Evidence) -> KindOfDrift:
    """The first kind whose condition holds."""
    tests, fired = evidence.tests, evidence.fired
    suspected: StrangersThere = "possible" if tests.content_p <= SUSPICION else "no"
    shift = largest_shift(evidence.shifts)[1]
    if not fired:
        says = "the photos look like those that the model was measured on"
        found = KindOfDrift("none", says, strangers=suspected)
    elif evidence.image_of_known <= IMAGE_ALPHA and abs(shift) >= NOTABLE_SHIFT:
        found = _of_numbers(evidence)
    elif evidence.look_of_known <= evidence.alpha and evidence.look_left >= ALL_LOOK:
        found = _other_look(evidence)
    elif "content" in fired:
        found = _strangers(evidence)
    elif "look" in fired and evidence.look_of_known <= evidence.alpha:
        found = _other_look(evidence)
    elif "mix" in fired:
        found = KindOfDrift("mix", _changed_mix(tests), strangers=suspected)
    elif "image" in fired:
        found = _numbers_of_all(evidence)
    else:
        found = KindOfDrift("look", "the photos look otherwise to the model, and no single number says how")
    return found


def _of_numbers(evidence: Evidence) -> KindOfDrift:
    return _of_one_source(evidence) or _numbers_of_all(evidence)


def _numbers_of_all(evidence: Evidence) -> KindOfDrift:
    return KindOfDrift("image", f"the photos {described(evidence.shifts)}")


def _other_look(evidence: Evidence) -> KindOfDrift:
    """The photos look otherwise; where a night makes strangers of nearly all, few known ones are left to tell why."""
    if "image" in evidence.fired and abs(largest_shift(evidence.shifts)[1]) >= STRANGE_LOOK:
        return _of_numbers(evidence)
    return KindOfDrift("look", _OTHER_LOOK)


def _of_one_source(evidence: Evidence) -> KindOfDrift | None:
    """Where the photos of one source moved, and no others."""
    alone = [(source, one) for source, one in evidence.shifts_by_source.items() if source and one.alone]
    if len(alone) != 1:
        return None
    source, one = alone[0]
    says = f"{one.share:.0%} of photos, those from {source}, {described(one.own)}"
    return KindOfDrift("image", says, one.share, source)


def described(shifts: NDArray[np.float64]) -> str:
    """What numbers that moved mean, in words: what the photos look like, or what the largest of them says."""
    name, shift = largest_shift(shifts)
    number = f"({name} {shift:+.1f} sd)"
    cause = likely_cause(shifts)
    if cause is not None:
        return f"look as if {cause} {number}"
    what, why = _WORDS.get((name, shift > 0), ("differ", ""))
    return f"{what} {number}{f': {why}' if why else ''}"


def _strangers(evidence: Evidence) -> KindOfDrift:
    tests, source = evidence.tests, evidence.strangers_source
    share = tests.content_share
    where = f", nearly all from {source}," if source else ""
    if abs(largest_shift(evidence.strangers_shifts)[1]) >= STRANGE_LOOK:
        says = f"{share:.0%} of photos{where} {described(evidence.strangers_shifts)}"
        return KindOfDrift("image", says, share, source, "possible")
    return KindOfDrift(
        "content",
        f"{share:.0%} of photos{where} show what the model does not know well ({tests.content_reference:.0%} before): "
        "new animals, other things, or empty photos",
        share,
        source,
        "certain",
    )


def _changed_mix(tests: DriftTests) -> str:
    parts = [f"{label} {was:.0%} to {now:.0%}" for label, was, now in tests.mix_changes]
    return f"the animals come in other shares than before: {', '.join(parts)}"


def largest_shift(shifts: NDArray[np.floating]) -> tuple[str, float]:
    """The number that moved most, and by how many deviations; no name where none moved."""
    if not shifts.any():
        return "", 0.0
    place = int(np.abs(shifts).argmax())
    return NAMES[place], float(shifts[place])

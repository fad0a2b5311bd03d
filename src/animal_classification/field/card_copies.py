"""Which cards hold the same pictures: a card that was copied twice, or into two stations' folders."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

from animal_classification.field.card_scan import CardFile, FingerPrint, end_fingerprint

MOST_OF_A_CARD = 0.5
"""Share of a deployment's pictures above which it is taken for a copy of another."""


@dataclass(frozen=True, slots=True)
class SharedPictures:
    """Two deployments with the same pictures.

    Attributes:
        first: One of them, by name.
        second: The other.
        photos: How many they share.
        times_differ: Whether the copies have other times than what they were copied from.
    """

    first: str
    second: str
    photos: int
    times_differ: bool


@dataclass(slots=True)
class _Place:
    path: str
    deployment: str
    time: str


@dataclass
class CopyFinder:
    """Remembers every picture by its fingerprint.

    Some hundred bytes a photo; only files whose fingerprints are equal are read a second time.
    """

    _first: dict[FingerPrint, _Place] = field(default_factory=dict)
    _again: dict[FingerPrint, list[_Place]] = field(default_factory=lambda: defaultdict(list))

    def add(self, file: CardFile, deployment: str) -> None:
        """Remember one photo or video."""
        if file.fingerprint is None:
            return
        place = _Place(file.path, deployment, str(file.facts.time or file.facts.camera_time))
        known = self._first.setdefault(file.fingerprint, place)
        if known is not place:
            self._again[file.fingerprint].append(place)

    def sets(self) -> list[list[_Place]]:
        """All pictures that are there twice and more."""
        found = []
        for print_, others in self._again.items():
            by_end: dict[bytes, list[_Place]] = defaultdict(list)
            for place in (self._first[print_], *others):
                by_end[end_fingerprint(place.path, print_[0])].append(place)
            found += [places for end, places in by_end.items() if end and len(places) > 1]
        return found


@dataclass(frozen=True, slots=True)
class Copies:
    """What there is twice.

    Attributes:
        within: By deployment, photos that are copies of another one of it.
        between: Pairs of deployments that share pictures, the most first.
    """

    within: Mapping[str, int]
    between: tuple[SharedPictures, ...]


def find_copies(finder: CopyFinder) -> Copies:
    """Count the copies within and between deployments."""
    within: Counter[str] = Counter()
    between: Counter[tuple[str, str]] = Counter()
    differ: set[tuple[str, str]] = set()
    for places in finder.sets():
        times: dict[str, set[str]] = defaultdict(set)
        for place in places:
            times[place.deployment].add(place.time)
        for deployment, count in Counter(place.deployment for place in places).items():
            within[deployment] += count - 1
        for pair in combinations(sorted(times), 2):
            between[pair] += 1
            if times[pair[0]] != times[pair[1]]:
                differ.add(pair)
    pairs = [SharedPictures(*pair, photos=photos, times_differ=pair in differ) for pair, photos in between.items()]
    pairs.sort(key=lambda shared: (-shared.photos, shared.first, shared.second))
    return Copies({deployment: count for deployment, count in within.items() if count}, tuple(pairs))

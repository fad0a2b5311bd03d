"""Train, validation and test: stratified, with nothing torn apart that belongs together, and the same every time.

What must stay together (a group, copies of one picture) becomes a unit; units are dealt out in an order that depends on
their content and the seed alone. No name, no order of files and no random generator takes part, so that the same photos
are divided the same way on every machine, and a photo that is added later moves few others.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor

from animal_classification.data.duplicates import units_of
from animal_classification.data.manifest import FRESH, Manifest, ManifestRow
from animal_classification.data.scanner import Facts
from animal_classification.errors import UsageError

_DEALT = ("test", "val", "train")
# Those that photos may come with; among equally frequent ones the first counts.
_GIVEN = ("test", FRESH, "val", "train")


@dataclass(frozen=True)
class Splits:
    """A manifest with splits, and what a person should know about them.

    Attributes:
        units: For every row the number of what must not be torn apart: one group, or copies of one picture.
    """

    manifest: Manifest
    notes: tuple[str, ...]
    units: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitPlan:
    """How to divide.

    Attributes:
        test: Fraction for the test, in [0, 1).
        val: Fraction for the validation, in [0, 1).
        seed: Another number gives another division.
        resplit: Ignore the splits that the photos have; without it, only photos without one are dealt out.
    """

    test: float = 0.2
    val: float = 0.1
    seed: int = 0
    resplit: bool = False

    def __post_init__(self) -> None:
        if not (0 <= self.test < 1 and 0 <= self.val < 1 and self.test + self.val < 1):
            raise UsageError(
                f"test {self.test:g} and val {self.val:g} leave nothing to train on; their sum must be below 1"
            )

    @property
    def fractions(self) -> dict[str, float]:
        """Of each split."""
        return {"test": self.test, "val": self.val, "train": 1 - self.test - self.val}


@dataclass(frozen=True)
class _Unit:
    """Rows that stay together.

    Attributes:
        members: Positions in the manifest.
        counts: Members of each class.
        key: Hash of seed and content, which decides where it stands in the order.
        given: Splits that members have already.
    """

    members: tuple[int, ...]
    counts: Counter[str]
    key: str
    given: Counter[str]


@dataclass
class _SplitCounts:
    """How many of each class every split should have, and has."""

    wanted: dict[str, dict[str, int]]
    fractions: Mapping[str, float]
    have: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in _DEALT})

    @classmethod
    def of(cls, units: Sequence[_Unit], fractions: Mapping[str, float], seed: int) -> _SplitCounts:
        """An empty one for these units."""
        counts = sum((unit.counts for unit in units), Counter())
        return cls(quotas(counts, fractions, seed), fractions)

    def deal(self, unit: _Unit) -> str:
        """Choose a split for a unit, and count it there."""
        if len(unit.members) == 1:
            name = next((name for name in _DEALT if self._surplus(name, unit) == 0), "train")
        else:
            turn = self._drawn(unit)
            name = min(_DEALT, key=lambda name: (self._surplus(name, unit), -self._need(name, unit), name != turn))
        self.have[name].update(unit.counts)
        return name

    def _surplus(self, split: str, unit: _Unit) -> int:
        """By how many photos a split would have too many."""
        return sum(
            max(0, self.have[split][name] + count - self.wanted[split][name]) for name, count in unit.counts.items()
        )

    def _need(self, split: str, unit: _Unit) -> float:
        """How empty a split is in these classes: 1 untouched, 0 full."""
        wanted = sum(self.wanted[split][name] for name in unit.counts)
        return 1 - sum(self.have[split][name] for name in unit.counts) / wanted if wanted else 0.0

    def _drawn(self, unit: _Unit) -> str:
        """The split whose turn it is among equals; without this the first units would all go to one split."""
        lot = int(unit.key[:12], 16) / 16**12
        for name in ("test", "val"):
            if lot < self.fractions[name]:
                return name
            lot -= self.fractions[name]
        return "train"


_PLAN = SplitPlan()


def split(manifest: Manifest, facts: Sequence[Facts], plan: SplitPlan = _PLAN) -> Splits:
    """Divide the usable photos into train, val and test.

    Args:
        manifest: The photos.
        facts: What ``scan`` says of every row of the manifest; near copies are found by their fingerprints.
        plan: How to divide.

    Raises:
        UsageError: There is only one class, or no usable photo.
    """
    classes = {row.label for row in manifest.usable}
    if len(classes) < 2:
        only = f"only one class ({next(iter(classes))!r})" if classes else "no usable photo"
        raise UsageError(f"there is {only}; a classifier needs at least two classes")
    rows = [replace(row, split=None) for row in manifest] if plan.resplit else list(manifest.rows)
    units = _units(manifest.with_rows(rows), facts, plan.seed)
    given = [row.split for row in rows]
    table = _SplitCounts.of([unit for unit in units if not unit.given], plan.fractions, plan.seed)
    for unit in units:
        # Beside copies that have a split already, that one: the most frequent, the smaller split among equals.
        name = _given(unit) if unit.given else table.deal(unit)
        for index in unit.members:
            rows[index] = replace(rows[index], split=rows[index].split or name)
    taken = _deal_val(rows, units, plan)
    number = {index: position for position, unit in enumerate(units) for index in unit.members}
    together = tuple(number.get(index, -1 - index) for index in range(len(rows)))
    kept = sum(before is not None and before == row.split for before, row in zip(given, rows, strict=True))
    notes = (*_notes_on_given(units, kept, taken), *_notes_on_absent(rows, plan))
    return Splits(manifest.with_rows(rows), notes, together)


def _given(unit: _Unit) -> str:
    """The split of what joins copies that have one; no copy of a fresh photo goes anywhere else."""
    return FRESH if unit.given[FRESH] else max(_GIVEN, key=unit.given.__getitem__)


def _deal_val(rows: list[ManifestRow], units: Sequence[_Unit], plan: SplitPlan) -> int:
    """Take val from train where photos came with splits and none of them is val; returns how many photos that is.

    Without val nothing says when to stop learning, nor how sure the answers are. Test is left as it came.
    """
    if plan.val == 0 or any(row.split == "val" for row in rows) or not any(unit.given for unit in units):
        return 0
    whole = [unit for unit in units if all(rows[index].split == "train" for index in unit.members)]
    share = plan.val / (1 - plan.test)  # of what would have been left beside the test
    table = _SplitCounts.of(whole, {"test": 0.0, "val": share, "train": 1 - share}, plan.seed)
    chosen = [index for unit in whole if table.deal(unit) == "val" for index in unit.members]
    for index in chosen:
        rows[index] = replace(rows[index], split="val")
    return len(chosen)


def _units(manifest: Manifest, facts: Sequence[Facts], seed: int) -> list[_Unit]:
    """Everything usable, in the order in which it is dealt out: large units first, while there is room for them."""
    rows = manifest.rows
    members: dict[int, list[int]] = defaultdict(list)
    for index, unit in enumerate(units_of(manifest, facts)):
        if rows[index].problem is None:
            members[unit].append(index)
    units = [_unit(found, rows, seed) for found in members.values()]
    return sorted(units, key=lambda unit: (-len(unit.members), unit.key))


def _unit(members: list[int], rows: Sequence[ManifestRow], seed: int) -> _Unit:
    content = min(rows[index].sha256 or "" for index in members)
    key = hashlib.sha256(f"{seed}\n{content}".encode()).hexdigest()
    counts = Counter(rows[index].label for index in members)
    given = Counter(name for index in members if (name := rows[index].split))
    return _Unit(tuple(members), counts, key, given)


def _notes_on_given(units: Sequence[_Unit], kept: int, taken: int) -> list[str]:
    """About the splits that photos came with.

    Args:
        units: All.
        kept: Photos that stay where they were.
        taken: Photos that went from train to val.
    """
    notes = []
    if kept:
        notes.append(f"{kept} photos keep the split that they came with; --resplit deals out all")
    if taken:
        notes.append(f"the photos came without val: {taken} of train are val now (a val of 0 leaves them in train)")
    if torn := sum(len(unit.given) > 1 for unit in units):
        notes.append(f"{torn} groups or sets of copies lie in several of the splits that they came with: see inspect")
    return notes


def _notes_on_absent(rows: Sequence[ManifestRow], plan: SplitPlan) -> list[str]:
    """About classes that a split does not have."""
    notes = []
    present = {(row.split, row.label) for row in rows if row.problem is None}
    names = sorted({row.label for row in rows if row.problem is None})
    for part in ("train", "test"):
        without = [name for name in names if (part, name) not in present]
        if without and plan.fractions[part] > 0:
            shown = ", ".join(map(repr, without[:3])) + (", …" if len(without) > 3 else "")
            notes.append(
                f"{part} has no photo of {len(without)} classes ({shown}): one photo, or one group, is not divided"
            )
    return notes


def quotas(counts: Mapping[str, int], fractions: Mapping[str, float], seed: int) -> dict[str, dict[str, int]]:
    """Divide every class.

    A class's share of a split is never a whole photo away from its fraction, and so is the sum over all classes where
    no minimum forbids it: a class of two and more has a photo in test, and every class has one in train.

    Args:
        counts: Photos of each class.
        fractions: Of ``test`` and ``val``; the rest is for ``train``.
        seed: Decides between classes with equal claims.

    Returns:
        From split to class to number.
    """
    # As they were typed: 0.29 * 100 in floating point is 28.999...
    shares = {split: Fraction(str(fractions[split])) for split in ("test", "val")}
    wanted = {split: {name: floor(count * share) for name, count in counts.items()} for split, share in shares.items()}
    if shares["test"] > 0:
        for name, count in counts.items():
            if wanted["test"][name] == 0 and _room(name, count, wanted):
                wanted["test"][name] = 1
    for split, share in shares.items():
        _hand_out_rest(split, share, counts, wanted, seed)
    wanted["train"] = {name: count - wanted["test"][name] - wanted["val"][name] for name, count in counts.items()}
    return wanted


def _hand_out_rest(
    split: str, share: Fraction, counts: Mapping[str, int], wanted: dict[str, dict[str, int]], seed: int
) -> None:
    """One photo more for the classes that rounding down has cost most, until the whole is right."""
    whole = floor(sum(counts.values()) * share + Fraction(1, 2))
    rest = whole - sum(wanted[split].values())
    losses = {name: count * share - wanted[split][name] for name, count in counts.items()}
    for name in sorted(counts, key=lambda name: (-losses[name], _lot(seed, split, name))):
        if rest <= 0 or losses[name] <= 0:
            return
        if _room(name, counts[name], wanted):
            wanted[split][name] += 1
            rest -= 1


def _room(name: str, count: int, wanted: Mapping[str, Mapping[str, int]]) -> bool:
    return wanted["test"][name] + wanted["val"][name] < count - 1


def _lot(seed: int, split: str, name: str) -> str:
    return hashlib.sha256(f"{seed}\n{split}\n{name}".encode()).hexdigest()

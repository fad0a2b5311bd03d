"""How many photos of each class go to each split: rounded so that every class and the whole come out right."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from math import floor


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

"""What was found, at the end: lines for a person, or an object for a script."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from animal_classification.common.console import printable

if TYPE_CHECKING:
    from animal_classification.data.discovery import WalkLog
    from animal_classification.predict.batch import Tally
    from animal_classification.predict.sorting import Sorter

KINDS_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class PredictSummary:
    """Everything there is to say about a run."""

    tally: Tally
    log: WalkLog
    model: str
    model_version: str
    seconds: float
    rate: float
    output: str | None
    sorter: Sorter | None
    dry_run: bool
    interrupted: bool

    def as_object(self) -> dict[str, Any]:
        """For ``--json``."""
        found: dict[str, Any] = {
            "photos": self.tally.photos,
            "unreadable": self.tally.unreadable,
            "unknown": self.tally.unknown,
            "skipped": self.log.skipped.total(),
            "skipped_kinds": {kind: number for kind, number in self.log.skipped.most_common() if number},
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 2),
            "output": self.output,
            "model": self.model,
            "model_version": self.model_version,
            "interrupted": self.interrupted,
            "animals": dict(self.tally.animals.most_common()),
        }
        if self.sorter is not None:
            into = str(self.sorter.into).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            found["sorted"] = {"into": into, "dry_run": self.dry_run, **self.sorter.outcomes}
        return found

    def lines(self, not_known: str) -> list[str]:
        """For people; ``not_known`` is what a photo that is none of the labels is called."""
        to = f" -> {printable(self.output)}" if self.output and not self.interrupted else ""
        lines = [f"{_counted(self.tally.photos, 'photo')} in {self.seconds:.1f} s ({self.rate:.0f}/s){to}"]
        lines += _table(self._counts(not_known))
        if self.sorter is not None:
            lines.append(self._sorted())
        if self.log.skipped.total():
            lines.append(f"not looked at: {listed(self.log.skipped)} (--all-files gives each a row)")
        return lines

    def _counts(self, not_known: str) -> list[tuple[str, int]]:
        kinds = sorted(self.tally.animals.items(), key=lambda kind: (-kind[1], kind[0]))
        shown = kinds[:KINDS_SHOWN]
        if rest := kinds[KINDS_SHOWN:]:
            shown.append((f"{_counted(len(rest), 'other kind')}", sum(number for _, number in rest)))
        ends = [(not_known, self.tally.unknown), ("unreadable", self.tally.unreadable)]
        return shown + [(name, number) for name, number in ends if number]

    def _sorted(self) -> str:
        assert self.sorter is not None
        outcomes = [f"{number} {outcome}" for outcome, number in sorted(self.sorter.outcomes.items())]
        left = [f"{self.tally.unreadable} unreadable left where they are"] if self.tally.unreadable else []
        verb = "would sort" if self.dry_run else "sorted"
        return f"{verb} into {printable(str(self.sorter.into))}: {', '.join(outcomes + left) or 'nothing'}"


def listed(kinds: Counter[str]) -> str:
    """Kinds of files with how many there are of each, the most first.

    >>> listed(Counter({"video": 3, "archive": 1}))
    '3 videos, 1 archive'
    """
    return ", ".join(_counted(number, kind) for kind, number in kinds.most_common() if number)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _table(counts: list[tuple[str, int]]) -> list[str]:
    from rich.cells import cell_len

    names = [printable(name) for name, _ in counts]
    width = max((cell_len(name) for name in names), default=0)
    digits = max((len(str(number)) for _, number in counts), default=0)
    return [
        f"  {name}{' ' * (width - cell_len(name))}  {number:>{digits}}"
        for name, (_, number) in zip(names, counts, strict=True)
    ]

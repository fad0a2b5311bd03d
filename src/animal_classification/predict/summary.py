"""What a run found, counted: lines for a person, or an object for a script."""

# Imported where they are used: rich takes 50 ms to load, and most runs for a script print no summary.

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from animal_classification.common.console import printable
from animal_classification.predict.journal import EarlierRow, JournalEntry

if TYPE_CHECKING:
    from animal_classification.data.discovery import WalkLog
    from animal_classification.predict.assembly import AssemblyCounts
    from animal_classification.predict.sorting import Sorter

KINDS_SHOWN = 20


@dataclass
class Tally:
    """What a table holds, counted.

    Attributes:
        photos: Rows.
        unreadable: Rows with an error.
        unknown: Rows that are none of the labels.
        animals: How often each name was given.
    """

    photos: int = 0
    unreadable: int = 0
    unknown: int = 0
    animals: Counter[str] = field(default_factory=Counter)

    def add(self, entry: JournalEntry) -> None:
        self._count(entry.row["error"] is not None, entry.row["unknown"] is True, entry.row["answer"], 1)

    def decided(self, counts: AssemblyCounts) -> None:
        """Count what a field run has decided in the end, in place of what each picture was taken for."""
        self.animals, self.unknown = counts.answers, counts.unknown

    def take_back(self, earlier: EarlierRow) -> None:
        """A row does not count any more."""
        self._count(earlier.failed, earlier.unknown, earlier.answer, -1)

    def _count(self, failed: bool, unknown: bool, answer: str | None, by: int) -> None:
        self.photos += by
        if failed:
            self.unreadable += by
        elif unknown:
            self.unknown += by
        elif answer is not None:
            self.animals[answer] += by


@dataclass(frozen=True, kw_only=True)
class PredictSummary:
    """Everything there is to say about a run.

    Attributes:
        tally: All rows of the table, those of earlier runs included.
        log: Files that are no photos, and folders that could not be read.
        model: The model's name.
        model_version: Its version.
        unknown_name: What a photo that is none of the labels is called.
        seconds: How long the run took, without loading the model.
        rate: Photos a second.
        output: The table, where there is one with rows.
        sorter: What photos were sorted by.
        dry_run: Nothing was written.
        interrupted: The run was stopped.
        field: In a field run with tables, what is in them.
        notes: What the user should know beside, a line each.
    """

    tally: Tally
    log: WalkLog
    model: str
    model_version: str
    unknown_name: str
    seconds: float
    rate: float
    output: str | None
    sorter: Sorter | None
    dry_run: bool
    interrupted: bool
    field: AssemblyCounts | None = None
    notes: tuple[str, ...] = ()

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
        if self.field is not None:
            found |= {"detections": self.field.detections, "events": self.field.events, "blank": self.field.blank}
            found |= {"dateless": self.field.dateless, "smoothed": self.field.smoothed, "notes": list(self.notes)}
        if self.sorter is not None:
            into = str(self.sorter.into).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            found["sorted"] = {"into": into, "dry_run": self.dry_run, **self.sorter.outcomes}
        return found

    def lines(self) -> list[str]:
        """For people."""
        to = f" -> {printable(self.output)}" if self.output and not self.interrupted else ""
        lines = [f"{_counted(self.tally.photos, 'photo')} in {self.seconds:.1f} s ({self.rate:.0f}/s){to}"]
        lines += _table(self._counts())
        if self.field is not None:
            lines.append(self._found())
        if self.sorter is not None:
            lines.append(self._sorted())
        if self.log.skipped.total():
            lines.append(f"not looked at: {listed(self.log.skipped)} (--all-files gives each a row)")
        return lines

    def _found(self) -> str:
        assert self.field is not None
        boxes = "1 box" if self.field.detections == 1 else f"{self.field.detections} boxes"
        parts = [_counted(self.field.events, "event"), boxes]
        parts += [f"{_counted(self.field.smoothed, 'answer')} by the burst"] if self.field.smoothed else []
        parts += [f"{self.field.dateless} without a time"] if self.field.dateless else []
        return ", ".join(parts)

    def _counts(self) -> list[tuple[str, int]]:
        kinds = sorted(self.tally.animals.items(), key=lambda kind: (-kind[1], kind[0]))
        shown = kinds[:KINDS_SHOWN]
        if rest := kinds[KINDS_SHOWN:]:
            shown.append((f"{_counted(len(rest), 'other kind')}", sum(number for _, number in rest)))
        blank = self.field.blank if self.field else 0
        ends = [("blank", blank), (self.unknown_name, self.tally.unknown), ("unreadable", self.tally.unreadable)]
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

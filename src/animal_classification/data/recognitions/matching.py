"""Which entry of somebody's results is which file here: by the path, as far as it is the same from its end."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from animal_classification.errors import UsageError

_SHOWN = 3


Parts = tuple[str, ...]


def _from_end(name: str) -> Parts:
    """The parts of a path of any system, composed, the last one first."""
    plain = unicodedata.normalize("NFC", name.replace("\\", "/"))
    return tuple(part for part in reversed(plain.split("/")) if part not in ("", "."))


@dataclass(frozen=True)
class Match:
    """How a set of files met the entries of somebody's results.

    Attributes:
        entry_of: Position of each file's entry, for the files that have one.
        files: How many files were looked up.
        exact: How many were found by their whole path.
        tails: How many by the end of it.
        unused: How many entries no file was found for.
        first_unused: The path of one of them.
        apart: How many files would have been found by the end of their paths, but lie in another folder than the entry.
        first_apart: One of them, and the entry that is not its own.
    """

    entry_of: dict[str, int]
    files: int
    exact: int
    tails: int
    unused: int
    first_unused: str = ""
    apart: int = 0
    first_apart: tuple[str, str] = ("", "")

    @property
    def says(self) -> str:
        """How many were matched, and how, in a few words."""
        tails = f" ({self.tails:,} by the end of their paths)" if self.tails else ""
        apart = f", {self.apart:,} not, for their folders differ: {' is not '.join(map(repr, self.first_apart))}"
        return f"{len(self.entry_of):,} of {self.files:,} files matched{tails}{apart if self.apart else ''}"


class PathIndex:
    """Entries by their paths, read from the end."""

    def __init__(self, names: Sequence[str], where: str) -> None:
        """Index the paths of entries.

        Args:
            names: As they are written, one for each entry; of two that are the same path the last one counts.
            where: The results' name, for messages.
        """
        self._names, self._where = names, where
        self._exact = {parts: position for position, name in enumerate(names) if (parts := _from_end(name))}
        # Paths with a common tail stand side by side: the longest is found by bisection, however many names are equal.
        self._sorted = sorted(self._exact.items())

    def find(self, name: str) -> int | None:
        """The entry of one file; ``None`` where there is none.

        Raises:
            UsageError: Several fit equally well.
        """
        found = self.find_parts(_from_end(name), name)
        return None if found is None else found[0]

    def match(self, names: Iterable[str]) -> Match:
        """The entries of many files; no entry goes to two of them.

        Raises:
            UsageError: Several entries fit a file equally well, or one entry fits several files equally well.
        """
        matching = self.matching()
        for name in dict.fromkeys(names):
            matching.add(name)
        return matching.result()

    def matching(self) -> Matching:
        """The same for files that come one by one: its memory grows with the entries, not with the files."""
        return Matching(self)

    def find_parts(self, parts: Parts, name: str) -> tuple[int, int] | None:
        """Position of the entry, and how many parts from the end it shares."""
        if parts in self._exact:
            return self._exact[parts], len(parts) + 1
        near = bisect_left(self._sorted, (parts,))
        around = self._sorted[max(0, near - 1) : near + 1]
        shared = max((_common(parts, other) for other, _ in around), default=0)
        if not shared:
            return None
        tail = parts[:shared]
        first = bisect_left(self._sorted, (tail,))
        best = list(takewhile(lambda item: item[0][:shared] == tail, self._sorted[first : first + _SHOWN]))
        if len(best) > 1:
            raise UsageError(
                f"{self._where}: the file {name!r} may be any of its entries "
                f"{_listed([self._names[position] for _, position in best])}; name the folder that its paths start from"
            )
        return best[0][1], shared

    def folders(self, position: int, name: str) -> tuple[Parts, Parts]:
        """The folders of an entry and of a file, the last part first."""
        return _from_end(self._names[position])[1:], _from_end(name)[1:]

    def differ(self, position: int, name: str) -> bool:
        """Whether an entry and a file lie in different folders: neither path is the end of the other."""
        entry, file = self.folders(position, name)
        return _common(entry, file) < min(len(entry), len(file))

    def result(self, chosen: dict[int, str], files: int, apart: dict[int, str]) -> Match:
        """The match of which the file of each entry is known, by the entry's position.

        Args:
            chosen: Those that are matched.
            files: How many were looked up.
            apart: Those that are not, for their folders differ.
        """
        exact = sum(_from_end(name) in self._exact for name in chosen.values())
        unused = [name for position, name in enumerate(self._names) if position not in chosen]
        return Match(
            entry_of={name: position for position, name in chosen.items()},
            files=files,
            exact=exact,
            tails=len(chosen) - exact,
            unused=len(unused),
            first_unused=unused[0] if unused else "",
            apart=len(apart),
            first_apart=next(((name, self._names[position]) for position, name in apart.items()), ("", "")),
        )

    def ambiguous(self, position: int, names: Sequence[str], count: int) -> UsageError:
        """What to raise where one entry fits several files."""
        return UsageError(
            f"{self._where}: its entry {self._names[position]!r} may be any of the files {_listed(names, count)}; "
            "name the folder that its paths start from"
        )


@dataclass
class _Claim:
    """The files that fit an entry best: how many parts of their paths are its own, some of their names, how many."""

    shared: int
    names: list[str]
    count: int = 1


class Matching:
    """Files that are matched while they come."""

    def __init__(self, index: PathIndex) -> None:
        self._index = index
        self._claims: dict[int, _Claim] = {}
        self._files = 0

    def add(self, name: str) -> None:
        """One more file; each comes once.

        Raises:
            UsageError: Several entries fit it equally well.
        """
        self._files += 1
        found = self._index.find_parts(_from_end(name), name)
        if found is None:
            return
        position, shared = found
        claim = self._claims.get(position)
        if claim is None or claim.shared < shared:
            self._claims[position] = _Claim(shared, [name])
        elif claim.shared == shared:
            claim.count += 1
            if len(claim.names) < _SHOWN:
                claim.names.append(name)

    def result(self) -> Match:
        """The entry of each file that has come.

        Raises:
            UsageError: One entry fits several files equally well.
        """
        for position, claim in self._claims.items():
            if claim.count > 1:
                raise self._index.ambiguous(position, claim.names, claim.count)
        apart = self._apart()
        chosen = {position: claim.names[0] for position, claim in self._claims.items() if position not in apart}
        return self._index.result(chosen, self._files, apart)

    def _apart(self) -> dict[int, str]:
        """Files that share less with their entry than others of the folder do with theirs, by the entry's position.

        Cameras number their photos alike: if north/2.JPG is the entry north/2.JPG, then west/1.JPG is not north/1.JPG.
        """
        best: dict[tuple[bool, Parts], int] = {}
        for position, claim in self._claims.items():
            for key in self._folders(position, claim):
                best[key] = max(claim.shared, best.get(key, 0))
        return {
            position: claim.names[0]
            for position, claim in self._claims.items()
            if self._index.differ(position, claim.names[0])
            and any(claim.shared < best[key] for key in self._folders(position, claim))
        }

    def _folders(self, position: int, claim: _Claim) -> tuple[tuple[bool, Parts], tuple[bool, Parts]]:
        """The folder of an entry, and that of its file."""
        entry, file = self._index.folders(position, claim.names[0])
        return (True, entry), (False, file)


def repeated(names: Iterable[str]) -> list[str]:
    """Names that occur more than once, in the order in which they first do."""
    return [name for name, count in Counter(names).items() if count > 1]


def _common(one: Parts, other: Parts) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _listed(names: Sequence[str], count: int | None = None) -> str:
    count = len(names) if count is None else count
    more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more

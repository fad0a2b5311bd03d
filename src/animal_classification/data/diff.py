"""The difference between two versions of a data set; photos are matched by their bytes, not by their paths."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from animal_classification.data.manifest import Manifest, ManifestRow

_SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """From one manifest to another.

    Attributes:
        before: The older data version.
        after: The newer one.
        photos: How many there were and are.
        classes: For each class, how many there were, are, came and went.
        relabelled: Path, old and new label of the photos that changed their class.
        moved: How many changed their split.
        problems: Path and reason of the photos that cannot be used, and were not there or could be used before.
    """

    before: str
    after: str
    photos: tuple[int, int]
    classes: dict[str, tuple[int, int, int, int]]
    relabelled: tuple[tuple[str, str, str], ...]
    moved: int
    problems: tuple[tuple[str, str], ...]

    def as_object(self) -> dict[str, Any]:
        """For ``--json``."""
        names = ("before", "after", "added", "removed")
        return {
            "version": self.before,
            "photos": self.photos[0],
            "classes": {name: dict(zip(names, counts, strict=True)) for name, counts in self.classes.items()},
            "relabelled": [dict(zip(("path", "from", "to"), item, strict=True)) for item in self.relabelled],
            "moved": self.moved,
            "problems": [dict(zip(("path", "problem"), item, strict=True)) for item in self.problems],
        }


def compare(before: Manifest, after: Manifest) -> Difference:
    """Find the changes that turn the first manifest into the second."""
    old, new = _by_content(before), _by_content(after)
    added: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    relabelled, moved = [], 0
    for content in {**old, **new}:
        then, now = old[content], new[content]
        for left, right in zip(then, now, strict=False):
            if left.label != right.label:
                relabelled.append((right.path, left.label, right.label))
            moved += left.split != right.split
        added.update(row.label for row in now[len(then) :])
        removed.update(row.label for row in then[len(now) :])
    counts = [Counter(row.label for row in manifest) for manifest in (before, after)]
    names = sorted(name for name in counts[0] | counts[1] if name)
    return Difference(
        before=before.version,
        after=after.version,
        photos=(len(before), len(after)),
        classes={name: (counts[0][name], counts[1][name], added[name], removed[name]) for name in names},
        relabelled=tuple(sorted(relabelled)),
        moved=moved,
        problems=tuple(_new_problems(old, after)),
    )


def text_lines(difference: Difference) -> list[str]:
    """For a terminal, and as Markdown for a comment: a table of the classes that changed, then what else did."""
    if difference.before == difference.after:
        return [f"Nothing has changed: data version {difference.after}, {difference.photos[1]} photos."]
    count = difference.photos
    lines = [
        f"Data version {difference.before} -> {difference.after}; {count[0]} -> {_photos(count[1])}.",
        "",
        "| class | before | after | added | removed |",
        "|---|--:|--:|--:|--:|",
    ]
    changed = {name: counts for name, counts in difference.classes.items() if counts[0] != counts[1] or any(counts[2:])}
    lines += [f"| {_cell(name)} | {' | '.join(map(str, counts))} |" for name, counts in changed.items()]
    if not changed:
        lines = lines[:1]
    lines += _listed("changed the class", [f"{path}: {old} -> {new}" for path, old, new in difference.relabelled])
    lines += _listed("cannot be used", [f"{path}: {problem}" for path, problem in difference.problems])
    if difference.moved:
        lines += ["", f"{_photos(difference.moved)} changed the split."]
    return lines


def _photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"


def _listed(what: str, items: list[str]) -> list[str]:
    if not items:
        return []
    more = [f"- … and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
    return ["", f"{_photos(len(items))} {what}:", "", *(f"- {_cell(item)}" for item in items[:_SHOWN]), *more]


def _cell(text: str) -> str:
    """As Markdown in one line: names cannot add a tag, entity, link or picture."""
    line = " ".join(text.splitlines())
    return "".join(f"\\{character}" if character in "\\`*[]|~<&" else character for character in line)


def _by_content(rows: Iterable[ManifestRow]) -> defaultdict[str, list[ManifestRow]]:
    found: defaultdict[str, list[ManifestRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.label, row.split or "", row.path)):
        found[row.sha256 or row.path].append(row)
    return found


def _new_problems(old: defaultdict[str, list[ManifestRow]], after: Manifest) -> Iterable[tuple[str, str]]:
    for row in after:
        if row.problem is not None and not any(then.problem for then in old[row.sha256 or row.path]):
            yield row.path, row.problem

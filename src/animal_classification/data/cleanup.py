"""A manifest without what is wrong. The photos themselves are never touched.

The rules, in order; docs/data.md repeats them:

1. Photos that cannot be read, have no label, or are tiny are left out.
2. A picture under two labels is left out with all its copies: nobody can say which label is right.
3. Of other copies one is kept: the one in test, else val, else train, so that numbers stay comparable; among several
   there the one with the most pixels, then the most bytes, then the first by content.
4. Photos whose label is probably wrong are left out.
5. No class is emptied: where nothing would be left of a class whose photos can be read, what rests on a judgement (a
   doubted label, one picture under two labels, a tiny photo) stays.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.quality.findings import ADVICE, KINDS, Finding
from animal_classification.errors import UsageError

_ONE_IS_KEPT = frozenset({"duplicate", "near_duplicate", "leak"})
# What a person might see otherwise. Where all photos of a class are copies, one of each set is kept anyway.
_JUDGEMENTS = frozenset({"wrong_label", "label_conflict", "tiny"})
_PREFERENCE = {"test": 0, "fresh": 1, "val": 2, "train": 3, None: 4}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A photo that is not in the new manifest, and the finding that says why."""

    path: str
    label: str
    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class ClassLoss:
    """What a class loses.

    Attributes:
        name: The class.
        photos: How many it had that can be used.
        kept: How many of these it still has.
        kinds: How many went for which kind of finding.
    """

    name: str
    photos: int
    kept: int
    kinds: dict[str, int]

    def line(self) -> str:
        """For a person."""
        gone = self.photos - self.kept
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.items())
        return f"{self.name}: {gone} of {self.photos} photos go ({gone / self.photos:.0%}): {kinds}"


@dataclass(frozen=True)
class Cleaning:
    """The new manifest, and what was left out of it.

    Attributes:
        manifest: What is kept.
        left_out: What is not, and why.
        losses: Classes that lose photos that could be used, the largest share first.
        notes: What a person should know, a line each.
    """

    manifest: Manifest
    left_out: tuple[LeftOut, ...]
    losses: tuple[ClassLoss, ...] = ()
    notes: tuple[str, ...] = ()


def clean(manifest: Manifest, findings: Sequence[Finding], *, keep: Collection[str] = ()) -> Cleaning:
    """Leave out the photos that have findings.

    Args:
        manifest: The photos.
        findings: As from ``inspect``.
        keep: Kinds of findings to ignore.

    Raises:
        UsageError: There is no such kind, or nothing would be left.
    """
    check_kinds(keep)
    rows = {row.path: row for row in manifest}
    # Findings come with the worst kind first, and a photo is left out for the worst.
    left_out: dict[str, LeftOut] = {}
    for finding in findings:
        if finding.kind in keep or finding.kind in ADVICE:
            continue
        for path, why in _condemned(finding, rows):
            left_out.setdefault(path, LeftOut(path, rows[path].label, finding.kind, why))
    notes = _keep_classes(manifest, left_out)
    kept = [row for row in manifest if row.path not in left_out]
    if not kept:
        raise UsageError(f"nothing would be left of {len(manifest)} photos; see: animals data inspect")
    gone = tuple(left_out[path] for path in sorted(left_out))
    return Cleaning(manifest.with_rows(kept), gone, tuple(_losses(manifest, left_out)), tuple(notes))


def check_kinds(kinds: Collection[str]) -> None:
    """Refuse a kind that cannot be kept.

    Raises:
        UsageError: There is no such kind.
    """
    possible = [kind for kind in KINDS if kind not in ADVICE]
    for kind in kinds:
        if kind not in possible:
            raise UsageError(f"no such kind to keep: {kind!r}; one of {', '.join(possible)}")


def _keep_classes(manifest: Manifest, left_out: dict[str, LeftOut]) -> list[str]:
    """Keep photos whose removal would empty a class; returns a note for each."""
    notes = []
    rows: dict[str, list[ManifestRow]] = defaultdict(list)
    for row in manifest.usable:
        rows[row.label].append(row)
    for name, members in sorted(rows.items()):
        if any(row.path not in left_out for row in members):
            continue
        judged = [row.path for row in members if left_out[row.path].kind in _JUDGEMENTS]
        # Copies of photos of another class, in another split: not even one of them was to be kept.
        stay = judged or [min(members, key=_rank).path]
        kinds = sorted({left_out.pop(path).kind for path in stay})
        notes.append(
            f"nothing would be left of {name!r}: {len(stay)} photos stay in spite of {' and '.join(kinds)}; "
            "look at them yourself"
        )
    return notes


def _losses(manifest: Manifest, left_out: dict[str, LeftOut]) -> list[ClassLoss]:
    photos = Counter(row.label for row in manifest.usable)
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for row in manifest.usable:
        if row.path in left_out:
            kinds[row.label][left_out[row.path].kind] += 1
    losses = [
        ClassLoss(name, photos[name], photos[name] - found.total(), dict(found.most_common()))
        for name, found in kinds.items()
    ]
    return sorted(losses, key=lambda loss: (loss.kept / loss.photos, loss.name))


def _condemned(finding: Finding, rows: dict[str, ManifestRow]) -> Iterator[tuple[str, str]]:
    if finding.kind not in _ONE_IS_KEPT:
        yield from ((path, finding.explanation) for path in finding.paths)
        return
    best = min(finding.paths, key=lambda path: _rank(rows[path]))
    yield from ((path, f"{finding.explanation}; {best} is kept") for path in finding.paths if path != best)


def _rank(row: ManifestRow) -> tuple[int, int, int, str, str]:
    return (
        _PREFERENCE[row.split],
        -(row.width or 0) * (row.height or 0),
        -(row.bytes or 0),
        row.sha256 or "",
        row.path,
    )

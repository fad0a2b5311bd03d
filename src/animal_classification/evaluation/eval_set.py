"""The evaluation set: which photos a model is measured on, and their labels in the model's terms."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.hashes import hash_file
from animal_classification.data.discovery import PhotoPaths
from animal_classification.data.duplicates import duplicate_sets, join_units
from animal_classification.data.manifest import SPLITS, Manifest, ManifestRow
from animal_classification.data.scanner import Facts, scan
from animal_classification.data.splitter import SplitPlan, split
from animal_classification.errors import UsageError
from animal_classification.evaluation.training_provenance import export_of

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.inference.reference import TrainingReference

ALL = "all"
NOTHING = "(none of the classes)"
NO_TARGET = -1
# Comparing every photo with every other is not worth it beyond this; equal bytes are found all the same.
_MOST_COMPARED = 20_000
IN_TRAINING = "in the training data"


@dataclass(frozen=True, slots=True)
class Subject:
    """One photo of the evaluation set.

    Attributes:
        row: What is known about it.
        file: Where it is.
        target: Position of its label among the model's; ``NO_TARGET`` where the model does not know the label.
        seen: The model was trained or calibrated with this picture.
    """

    row: ManifestRow
    file: Path
    target: int
    seen: bool = False


@dataclass(frozen=True)
class Selection:
    """The photos of one evaluation.

    Attributes:
        version: The data version of the source.
        subjects: In the order of the source, unreadable ones included.
        split: Its name, or ``all``.
        left_out: Photos of the source that are not looked at, by reason.
        notes: What a person should know.
        seen_known: The bundle names what it has seen, and copies of that were looked for too.
    """

    version: str
    subjects: tuple[Subject, ...]
    split: str
    left_out: dict[str, int]
    notes: tuple[str, ...]
    seen_known: bool


@dataclass(frozen=True)
class Others:
    """Photos of none of the classes.

    Attributes:
        words: Files, folders and patterns, as they were named.
        subjects: The photos.
    """

    words: tuple[str, ...] = ()
    subjects: tuple[Subject, ...] = ()

    @classmethod
    def of(cls, words: Sequence[str]) -> Others:
        """Find them in these folders and files; none by default.

        Raises:
            UsageError: Words stand for no photo.
        """
        if not words:
            return cls()
        found = []
        for photo in PhotoPaths(words).walk():
            file = Path(photo.path)
            row = ManifestRow(path=photo.name, label=NOTHING, sha256=_hash(file))
            found.append(Subject(row, file, NO_TARGET))
        if not found:
            raise UsageError(f"no photos in {', '.join(map(repr, words))}")
        return cls(tuple(words), tuple(found))


def select(
    manifest: Manifest,
    info: BundleInfo,
    reference: TrainingReference,
    *,
    wanted: str = "test",
    cache: Path | None = None,
) -> Selection:
    """Choose the photos to measure a model on.

    Args:
        manifest: Labelled photos.
        info: The model's labels, and how its data were divided.
        reference: Which photos it has seen.
        wanted: A split, or ``all``. Where the source has no splits but is what the model learned from, it is divided
            as it was then. Where it has none and is something else, everything that the model has not seen is taken.
        cache: For ``scan``.

    Raises:
        UsageError: There is no such split, or no photo in it of a label that the model knows.
    """
    if wanted not in (*SPLITS, ALL):
        raise UsageError(f"no such split: {wanted!r}; one of {', '.join((*SPLITS, ALL))}")
    divided, notes = _divided(manifest, info, cache) if wanted != ALL else (manifest, [])
    targets = match_labels(divided, info)
    has_splits = any(row.split for row in divided)
    if wanted not in ("test", ALL) and not has_splits:
        raise UsageError(f"the photos have no splits, so there is no {wanted!r}; divide them, or take --split all")
    everything = [Subject(row, divided.file(row), targets.get(row.label, NO_TARGET)) for row in divided]
    candidates, left_out = [], Counter[str]()
    for subject in everything:
        reason = _why_not(subject.row, wanted, has_splits)
        if reason is None:
            candidates.append(subject)
        else:
            left_out[reason] += 1
    marked, seen_known = mark_seen(candidates, reference, cache)
    if has_splits or wanted == ALL:
        subjects = marked
    else:
        subjects = [subject for subject in marked if not subject.seen]
        left_out.update({IN_TRAINING: len(marked) - len(subjects)} if len(marked) > len(subjects) else {})
    if wanted != ALL and not has_splits:
        notes.append("the photos have no splits: all that the model has not seen in training are taken")
    _refuse_nothing(subjects, wanted, info, left_out)
    part = wanted if has_splits else ALL
    return Selection(manifest.version, tuple(subjects), part, dict(left_out), tuple(notes), seen_known)


def mark_seen(
    subjects: Sequence[Subject], reference: TrainingReference, cache: Path | None = None
) -> tuple[list[Subject], bool]:
    """Say of each photo whether training or calibration used it, or a copy of it.

    Returns:
        The subjects, and whether what they say can be relied on: the bundle names what it has seen, and copies could be
        looked for.
    """
    seen = reference.has_seen([subject.row.sha256 for subject in subjects])
    known = reference.knows_copies(len(subjects))
    if known:
        left = [index for index, subject in enumerate(subjects) if not seen[index] and subject.row.problem is None]
        facts = scan([subjects[index].file for index in left], cache=cache)
        seen[left] = reference.has_copy_of([one.fingerprint for one in facts])
    return [replace(one, seen=bool(was)) for one, was in zip(subjects, seen, strict=True)], known


def match_labels(manifest: Manifest, info: BundleInfo) -> dict[str, int]:
    """Positions of the model's labels by the names that the source has for them: by id, else by name, else alike."""
    by_id = {_same(label.id): index for index, label in enumerate(info.labels)}
    by_name = {_same(label.name): index for index, label in enumerate(info.labels)}
    exact = {label.id: index for index, label in enumerate(info.labels)}
    found = {}
    for name in manifest.classes:
        for table, key in ((exact, name), (by_id, _same(name)), (by_name, _same(name))):
            if key in table:
                found[name] = table[key]
                break
    return found


@dataclass(frozen=True)
class Units:
    """Observations: photos of one observation have equal numbers in ``[N]``.

    Attributes:
        all: Copies of one picture, and photos of one group.
        pictures: Copies of one picture alone.
    """

    all: NDArray[np.int64]
    pictures: NDArray[np.int64]


def independent_units(subjects: Sequence[Subject], cache: Path | None = None) -> Units:
    """Find the observations."""
    rows = [subject.row for subject in subjects]
    # What cannot be read has no content that it could share.
    rows = [row if row.sha256 else replace(row, problem=row.problem or "cannot be read") for row in rows]
    manifest = Manifest(tuple(rows), Path())
    if len(subjects) <= _MOST_COMPARED:
        copies = duplicate_sets(manifest, scan([subject.file for subject in subjects], cache=cache))
    else:
        copies = duplicate_sets(manifest, [Facts()] * len(subjects), limit=-1)
    units, pictures = join_units(manifest, copies), join_units(manifest, copies, groups=False)
    return Units(np.array(units, dtype=np.int64), np.array(pictures, dtype=np.int64))


def copies_note(subjects: Sequence[Subject], units: Units) -> list[str]:
    """What to say of pictures that are there more than once: the numbers count them all, and cleaning would not."""
    labels: dict[int, set[str]] = {}
    for subject, picture in zip(subjects, units.pictures.tolist(), strict=True):
        labels.setdefault(picture, set()).add(subject.row.label)
    copies = len(subjects) - len(labels)
    if not copies:
        return []
    doubted = sum(len(names) > 1 for names in labels.values())
    under = f"; under different labels: {doubted}" if doubted else ""
    return [f"pictures that are counted again, as copies: {copies}{under} (`animals data inspect` shows which)"]


def _divided(manifest: Manifest, info: BundleInfo, cache: Path | None) -> tuple[Manifest, list[str]]:
    """The source with splits: as the model's training divided it if it is the same data, else with those it brings."""
    if export_of(info).get("divided") == manifest.version:  # by `animals export`, which has no plan of its own
        facts = scan([manifest.file(row) for row in manifest], cache=cache)
        return split(manifest, facts, SplitPlan()).manifest, ["divided as for the export of the model"]
    plan = _plan_of(info)
    if plan is None or info.data.version == manifest.version or not manifest.usable:
        return manifest, []
    facts = scan([manifest.file(row) for row in manifest], cache=cache)
    try:
        division = split(manifest, facts, plan)
    except UsageError:  # one class alone is enough here
        return manifest, []
    if division.manifest.version != info.data.version:
        return manifest, []
    return division.manifest, ["divided as for the model's training: each photo is in the split that it was in then"]


def _plan_of(info: BundleInfo) -> SplitPlan | None:
    data: Any = info.config.get("data")
    if not isinstance(data, Mapping):
        return None
    words = {name: data.get(name) for name in ("test", "val", "resplit")}
    try:
        return SplitPlan(seed=int(info.config.get("seed", 0)), **{k: v for k, v in words.items() if v is not None})
    except (TypeError, ValueError, UsageError):
        return None


def _why_not(row: ManifestRow, wanted: str, has_splits: bool) -> str | None:
    """Why a photo is left out, whatever the model has seen; ``None`` if it is not."""
    if wanted == ALL or not has_splits:
        return None
    if row.split == wanted or (row.split is None and row.problem is not None):
        return None
    return f"in {row.split}" if row.split else "in no split"


def _refuse_nothing(subjects: Sequence[Subject], wanted: str, info: BundleInfo, left_out: Mapping[str, int]) -> None:
    if any(subject.target != NO_TARGET and subject.row.problem is None for subject in subjects):
        return
    if left_out.get(IN_TRAINING):
        raise UsageError(
            f"{info.name} has seen every one of these photos of its labels in training, so that they say nothing; "
            "give others, or --split all"
        )
    there = sorted({subject.row.label for subject in subjects})[:3]
    where = "the photos" if wanted == ALL else f"the split {wanted!r}"
    if not there:
        counts = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "none at all"
        raise UsageError(f"{where} has no photos ({counts}); choose another with --split")
    labels = ", ".join(label.name for label in info.labels[:3])
    raise UsageError(
        f"{where}: no usable photo has a label that {info.name} knows; labels there are such as {', '.join(there)}; "
        f"it knows {len(info.labels)}, such as {labels}"
    )


def _same(text: str) -> str:
    """Names that differ in case, and in what stands between words, are one."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return " ".join(folded.replace("_", " ").replace("-", " ").split())


def _hash(file: Path) -> str | None:
    try:
        return hash_file(file)
    except OSError:
        return None

"""Labelled photos join the data: copied beside it, checked, divided, described.

    DATA/feedback/ZOO-0007/
        photos/ab12….jpg     the new photos, by the hash under which the log knows them
        unknown/cd34….jpg    photos that show none of the classes: for thresholds, never a class
        labels.jsonl         a line for each new photo
        conflict.csv         photos of which people say different things
        doubts.csv           labels that the other photos contradict
        manifest.parquet     all photos, the old ones as they were
        collection.json      what came of it, in numbers

The folder appears when everything is in it. A folder that is there is not made again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.common.atomic import new_folder
from animal_classification.common.progress import Progress, silent
from animal_classification.common.text_files import cannot_write
from animal_classification.data.diff import compare, text_lines
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.scanner import Facts, scan
from animal_classification.data.sources.listing import LOOP_MARK
from animal_classification.data.sticky_splits import THERE, Extension, RefusedPhoto, extend
from animal_classification.errors import ImageError, NeedsPersonError
from animal_classification.imaging import Limits
from animal_classification.imaging.bounded_read import read_photo
from animal_classification.loop.label_doubts import LabelDoubt, LookedAt, doubt_labels
from animal_classification.loop.labels import LabelledPhoto, SpokenOf, plain
from animal_classification.monitoring.corrections_export import photo_ending
from animal_classification.prediction_log.corrections import NO_ANIMAL, as_text
from animal_classification.training.dataset import cache_folder

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.loop.config import CollectConfig
    from animal_classification.loop.forgotten_photos import ForgottenPhotos
    from animal_classification.prediction_log.photo_store import PhotoStore

FOLDER = "feedback"
RESULT, MANIFEST, LABELS = "collection.json", "manifest.parquet", "labels.jsonl"
CONFLICTS, DOUBTS = "conflict.csv", "doubts.csv"
PHOTOS, UNKNOWN = "photos", "unknown"
_ABOUT = (
    "Photos that people labelled while a model was in use; `animals loop` put them here. They are no class: the\n"
    "manifests in the folders beside this file say what they show. `animals data` leaves this folder out.\n"
)


@dataclass(frozen=True, kw_only=True)
class CollectRequest:
    """What to collect.

    Attributes:
        cycle: Its name.
        base: The data so far, divided.
        spoken: The labels.
        photos: Where the log keeps photos.
        rules: Guards.
        training: Which backbone looks for wrong labels, and where caches are.
        agreed: A person has looked at what the guards say.
        progress: Told what is being done.
        forgotten: Photos that must not be collected, whatever they are called in a table.
    """

    cycle: str
    base: Manifest
    spoken: SpokenOf
    photos: PhotoStore | None
    rules: CollectConfig
    training: Config
    agreed: bool = False
    progress: Progress = silent
    forgotten: ForgottenPhotos | None = None

    @property
    def folder(self) -> Path:
        """Where it goes."""
        return self.base.root / FOLDER / self.cycle


@dataclass(frozen=True)
class Collection:
    """What a cycle has collected.

    Attributes:
        folder: Where.
        facts: The content of ``collection.json``.
    """

    folder: Path
    facts: Mapping[str, Any]

    @property
    def manifest(self) -> Path:
        """All photos, old and new."""
        return self.folder / MANIFEST

    @property
    def strangers(self) -> Path:
        """Photos of none of the classes."""
        return self.folder / UNKNOWN


@dataclass(frozen=True, slots=True)
class _Copied:
    """A photo in the new folder: its label, its row in the manifest, what a scan says of it, where it lies now."""

    labelled: LabelledPhoto
    row: ManifestRow
    facts: Facts
    file: Path


def collected(folder: Path) -> Collection | None:
    """What was collected there; ``None`` where nothing was."""
    try:
        return Collection(folder, json.loads((folder / RESULT).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def collect(request: CollectRequest) -> Collection:
    """Make a cycle's folder, unless it is there.

    Raises:
        NeedsPersonError: Too much of a class comes from one person or one day.
        OutputError: It cannot be written.
        LogDatabaseError: The place of the photos cannot be reached.
    """
    there = collected(request.folder)
    if there is not None:
        return there
    for left in request.folder.parent.glob(f".{request.cycle}.*.tmp"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        request.folder.parent.mkdir(parents=True, exist_ok=True)
        (request.folder.parent / LOOP_MARK).write_text(_ABOUT, encoding="utf-8")
        with new_folder(request.folder) as temporary:
            facts = _fill(temporary, request)
    except OSError as error:
        raise cannot_write(request.folder, error) from error
    return Collection(request.folder, facts)


def _fill(folder: Path, request: CollectRequest) -> dict[str, Any]:
    spoken = request.spoken
    labelled = _allowed(request)
    copied = _copy([one for one in labelled if one.label != NO_ANIMAL], folder / PHOTOS, request)
    strangers = _copy([one for one in labelled if one.label == NO_ANIMAL], folder / UNKNOWN, request)
    good = [one for one in copied if one.facts.problem is None]
    files = [request.base.file(row) for row in request.base]
    old = scan(files, cache=cache_folder(request.training.data), progress=request.progress)
    extension = extend(request.base, old, [(one.row, one.facts) for one in good], fresh=request.rules.fresh)
    by_path = {one.row.path: one for one in copied}
    _refuse_too_much_of_one(extension, by_path, request)
    before = [LookedAt(*one) for one in zip(request.base, old, files, strict=True)]
    added = [LookedAt(row, by_path[row.path].facts, by_path[row.path].file) for row in extension.added]
    doubts = _doubts(before, added, request)
    for one in extension.refused:
        by_path[one.row.path].file.unlink(missing_ok=True)
    relabelled = _relabelled(request.base, extension, by_path)
    labels = "".join(_label_line(row, by_path[row.path].labelled) for row in extension.added)
    _write(folder / LABELS, labels)
    _write(folder / CONFLICTS, _conflict_table(spoken, relabelled))
    _write(folder / DOUBTS, _csv([field.name for field in fields(LabelDoubt)], map(astuple, doubts)))
    extension.manifest.write(folder / MANIFEST, place=request.folder)
    used = [by_path[row.path].labelled for row in extension.added] + [one.labelled for one in strangers]
    settled = [by_path[one.row.path].labelled for one in extension.refused if one not in relabelled]
    facts = {
        **_summary(request, extension),
        "no_photo": len(labelled) - len(copied) - len(strangers),
        "unreadable": len(copied) - len(good),
        "unknown_photos": len(strangers),
        "conflicts": len(spoken.conflicts) + len(relabelled),
        "forgotten": spoken.forgotten + len(spoken.labelled) - len(labelled),
        "doubts": [asdict(doubt) for doubt in doubts],
        "words": sorted(number for one in (*used, *settled) for number in one.words),
    }
    _write(folder / RESULT, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return facts


def _allowed(request: CollectRequest) -> list[LabelledPhoto]:
    """The labelled photos without those that are on the list by their bytes, whatever a table calls them."""
    labelled = request.spoken.labelled
    forgotten = request.forgotten
    if not forgotten:
        return labelled
    read = ((one, _bytes(one, request.photos)) for one in labelled)
    return [one for one, data in read if data is None or hashlib.sha256(data).hexdigest() not in forgotten]


def _copy(labelled: Sequence[LabelledPhoto], folder: Path, request: CollectRequest) -> list[_Copied]:
    """Copy the photos that are still kept, and look at them."""
    folder.mkdir()
    there: list[tuple[LabelledPhoto, Path]] = []
    for number, one in enumerate(labelled, 1):
        data = _bytes(one, request.photos)
        if data is not None:
            file = folder / f"{one.photo}{photo_ending(data)}"
            file.write_bytes(data)
            there.append((one, file))
        request.progress("copying photos", number, len(labelled))
    facts = scan([file for _, file in there], cache=cache_folder(request.training.data))
    where = f"{FOLDER}/{request.cycle}/{folder.name}"
    return [
        _Copied(one, _row(f"{where}/{file.name}", one.label, fact), fact, file)
        for (one, file), fact in zip(there, facts, strict=True)
    ]


def _bytes(one: LabelledPhoto, photos: PhotoStore | None) -> bytes | None:
    if one.file is not None:
        try:
            return read_photo(one.file, Limits.of_container())
        except ImageError:
            return None
    return None if photos is None else photos.read(one.photo)


def _row(path: str, label: str, facts: Facts) -> ManifestRow:
    return ManifestRow(
        path=path,
        label=label,
        sha256=facts.sha256,
        width=facts.width,
        height=facts.height,
        bytes=facts.bytes,
        problem=facts.problem,
    )


def _refuse_too_much_of_one(extension: Extension, by_path: Mapping[str, _Copied], request: CollectRequest) -> None:
    """Who labels a class alone decides what the model believes of it: a person looks first.

    Raises:
        NeedsPersonError: One person, or one day, would make up too much of a class.
    """
    if request.agreed:
        return
    sizes = Counter(row.label for row in extension.manifest.usable)
    shares: Counter[tuple[str, str]] = Counter()
    for row in extension.added:
        one = by_path[row.path].labelled
        shares.update((row.label, f"from {who}") for who in one.who or ("people without a name",))
        shares.update([(row.label, f"of {one.day}")] if one.day else [])
    most = request.rules.most_of_class
    for (label, source), count in sorted(shares.items(), key=lambda item: -item[1] / sizes[item[0][0]]):
        if count / sizes[label] > most:
            raise NeedsPersonError(
                f"{count} of {sizes[label]} photos of {label!r} would be {source}, more than {most:.0%} of the class: "
                "look at these words on the review page, and agree with --yes"
            )


def _doubts(before: Sequence[LookedAt], added: Sequence[LookedAt], request: CollectRequest) -> list[LabelDoubt]:
    if not request.rules.check_labels or not added:
        return []
    return doubt_labels([*before, *added], {one.row.path for one in added}, request.training)


def _relabelled(base: Manifest, extension: Extension, by_path: Mapping[str, _Copied]) -> list[RefusedPhoto]:
    """New photos that are in the data already, under another label."""
    known = {row.sha256: row.label for row in base}
    again = (one for one in extension.refused if one.why == THERE)
    return [one for one in again if plain(known[one.row.sha256]) != plain(one.row.label)]


def _label_line(row: ManifestRow, one: LabelledPhoto) -> str:
    facts = {
        "sha256": row.sha256,
        "photo": one.photo,
        "path": row.path,
        "label": row.label,
        "split": row.split,
        "who": list(one.who),
        "when": one.time.isoformat(timespec="seconds") if one.time else None,
        "prediction": one.prediction or None,
        "model": one.model or None,
        "version": one.version or None,
        "verdict": one.verdict or None,
        "audit": one.audit,
    }
    return json.dumps(facts, ensure_ascii=False) + "\n"


def _conflict_table(spoken: SpokenOf, relabelled: Sequence[RefusedPhoto]) -> str:
    rows: list[tuple[object, ...]] = [
        (
            said.photo,
            said.label,
            said.who,
            said.time.isoformat(timespec="seconds") if said.time else "",
            said.prediction,
        )
        for words in spoken.conflicts
        for said in words
    ]
    rows += [(one.row.sha256, one.row.label, "", "", "in the data under another label") for one in relabelled]
    return _csv(("photo", "label", "who", "time", "prediction"), rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([as_text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()


def _summary(request: CollectRequest, extension: Extension) -> dict[str, Any]:
    splits = Counter(str(row.split) for row in extension.added)
    return {
        "cycle": request.cycle,
        "data_version": extension.manifest.version,
        "data_version_before": request.base.version,
        "added": len(extension.added),
        "splits": dict(splits),
        "labels": dict(Counter(row.label for row in extension.added).most_common()),
        "refused": dict(Counter(one.why for one in extension.refused)),
        "unnamed": request.spoken.unnamed,
        "untrusted": request.spoken.untrusted,
        "unknown_labels": request.spoken.unknown_labels,
        "changes": text_lines(compare(request.base, extension.manifest)),
    }


def _write(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "replace"))

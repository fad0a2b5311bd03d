"""Takes photos out of all that a loop keeps, because somebody asked for it, and says what cannot be taken back.

A request that began is in ``FOLDER/forgetting.json`` until it is done: whatever kills the process, doing it again ends
in the same state, with one row in the ledger. The row says how many photos went, when and by whom; never which.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.text_files import write_text
from animal_classification.data.forget_cached import forget_cached
from animal_classification.errors import AnimalsError, OutputError, UsageError
from animal_classification.loop.collected_photos import CollectedPhotos
from animal_classification.loop.cycle import FORGOTTEN
from animal_classification.loop.cycle_report import REPORT, write_cycle_report
from animal_classification.loop.dvc import track
from animal_classification.loop.forgotten_photos import ForgottenPhotos
from animal_classification.loop.lock import only_one
from animal_classification.loop.photo_removal import remove_from_cycle, remove_from_data, remove_leftovers
from animal_classification.loop.series import newest_series
from animal_classification.training.dataset import cache_folder

if TYPE_CHECKING:
    from animal_classification.loop.cycle import Cycle
    from animal_classification.loop.ledger import Transition
    from animal_classification.loop.workplace import Workplace

REQUEST = "forgetting.json"
_LEARNED_FROM = {"train", "val"}
_TESTED_ON = {"test", "fresh"}


@dataclass(frozen=True, kw_only=True)
class ForgottenInLoop:
    """What came of a request in one loop.

    Attributes:
        model: Whose loop.
        photos: Of how many photos the loop had anything.
        cycles: Whose data had them.
        learned: Models that have learned from one: ``ZOO-0002 (zoo/3)``.
        tested: Other models that were tested on one.
        own: Files of such photos that the loop did not bring. They are still there.
        ledger: Which row of the ledger says so; ``None`` where there was nothing.
        to_commit: What to type where DVC has the data; ``None`` elsewhere.
    """

    model: str
    photos: int
    cycles: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    ledger: str | None = None
    to_commit: str | None = None


@dataclass(kw_only=True)
class _Request:
    """A request that is under way: all that could not be found out again once it is half done.

    Attributes:
        id: In the ledger, so that it has one row.
        hashes: All hashes of the photos, and the log's for each.
        photos: Those of which the loop has, or had, anything.
        files: Paths of the photos in manifests.
        splits: For each cycle the splits in which they were.
        own: Files that stay.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    hashes: dict[str, str] = field(default_factory=dict)
    photos: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    splits: dict[str, list[str]] = field(default_factory=dict)
    own: list[str] = field(default_factory=list)


def forget_in_loop(work: Workplace, photos: Collection[str], why: str = "") -> ForgottenInLoop:
    """Delete these photos from the data of a loop, and never collect them again; doing it again changes nothing.

    Args:
        work: The loop.
        photos: SHA-256 of each, in hex.
        why: For the ledger, where it stays for ever.

    Raises:
        AnimalsError: Another process is at work in the loop, or the ledger was changed (all else is done then).
        OutputError: Something cannot be written or deleted. Some may be deleted; doing it again goes on.
        LogDatabaseError: The database cannot be used now.
    """
    with only_one(work.home):
        data = CollectedPhotos.of(work.home, work.config.model)
        request = _begin(work, data, photos)
        cycles = _cycles(work)
        try:
            to_commit = _erase(work, data, request, cycles)
        except OSError as error:
            raise OutputError(
                f"{error.filename}: photos cannot be deleted here ({error.strerror}); try again"
            ) from error
        row = _note(work, request, why) if request.photos else None
        _write_reports(work)
        (work.home / REQUEST).unlink(missing_ok=True)
    return ForgottenInLoop(
        model=work.config.model,
        photos=len(request.photos),
        cycles=tuple(sorted(request.splits)),
        learned=_models(work, cycles, request, _LEARNED_FROM),
        tested=_models(work, cycles, request, _TESTED_ON, but=_LEARNED_FROM),
        own=tuple(file for file in request.own if Path(file).exists()),
        ledger=f"{row.cycle} {row.seq}" if row else None,
        to_commit=to_commit,
    )


def _begin(work: Workplace, data: CollectedPhotos, photos: Collection[str]) -> _Request:
    """The request, joined with one that was begun and not ended; on the disk before anything goes."""
    file = work.home / REQUEST
    request = _Request()
    with contextlib.suppress(FileNotFoundError):
        request = _Request(**json.loads(file.read_text(encoding="utf-8")))
    for one, photo in data.hashes_of({*photos, *request.hashes}).items():
        if one != photo or one not in request.hashes:  # what tells that two hashes are one photo may be gone by now
            request.hashes[one] = photo
    ForgottenPhotos.read(work.home).add({*request.hashes, *request.hashes.values()})
    found = data.traces(request.hashes)
    request.photos = sorted({*request.photos, *found.photos})
    request.files = sorted({*request.files, *(one for files in found.rows.values() for one in files)})
    request.own = sorted({*request.own, *found.own})
    for cycle, splits in found.splits.items():
        request.splits[cycle] = sorted({*request.splits.get(cycle, ()), *splits})
    if request.photos:
        write_text(json.dumps(asdict(request)) + "\n", file)
    return request


def _cycles(work: Workplace) -> list[Cycle]:
    """None where the ledger was changed: what somebody did to it must not keep a photo from being deleted."""
    with contextlib.suppress(AnimalsError):
        return work.cycles()
    return []


def _erase(work: Workplace, data: CollectedPhotos, request: _Request, cycles: Sequence[Cycle]) -> str | None:
    """Delete all that the request names; returns what DVC wants typed."""
    remove_from_data(data, request.hashes)
    remove_leftovers(work.home)
    for name, splits in request.splits.items():
        decided = any(cycle.name == name and cycle.decision("trained") for cycle in cycles)
        home = work.ledger.folder(name)
        remove_from_cycle(home, {*request.hashes, *request.files}, tested="test" in splits)
        if cycles and not decided:  # it would make a candidate that has learned from the photo
            shutil.rmtree(home / "runs", ignore_errors=True)
    if not request.photos:
        return None
    forget_cached(request.hashes, cache_folder(work.training().data))
    commands = (track(root) for root in sorted({folder.parents[1] for folder in data.folders}))
    return next((command for command in commands if command is not None), None)


def _note(work: Workplace, request: _Request, why: str) -> Transition:
    """The ledger's row on this request, written once."""
    rows = work.ledger.transitions()
    there = next((row for row in rows if row.state == FORGOTTEN and row.decision.get("request") == request.id), None)
    if there is not None:
        return there
    series = newest_series(work.home)
    cycles = work.cycles()
    decision = {
        "request": request.id,
        "deleted": len(request.photos),
        "cycles": sorted(request.splits),
        "learned": list(_models(work, cycles, request, _LEARNED_FROM)),
        "why": why,
    }
    name, seq = (rows[-1].cycle, rows[-1].seq + 1) if rows else (work.ledger.cycle_name(0), 0)
    row = work.transition(name, seq, FORGOTTEN, decision=decision)
    with contextlib.suppress(UsageError):  # the data were moved: the loop will say so, and the row is no less true
        if series is not None:
            row = replace(row, frozen=series.frozen().version, data_version=work.data(cycles, series).version)
    return work.ledger.append(row)


def _models(
    work: Workplace, cycles: Sequence[Cycle], request: _Request, splits: set[str], but: Collection[str] = ()
) -> tuple[str, ...]:
    """The models of those cycles that had a photo in one of these splits, and none in the others."""
    found = []
    for cycle in cycles:
        where = set(request.splits.get(cycle.name, ()))
        if cycle.decision("trained") and where & splits and not where & set(but):
            version = cycle.value("registry_version")
            found.append(f"{cycle.name} ({work.config.model}/{version})" if version else cycle.name)
    return tuple(found)


def _write_reports(work: Workplace) -> None:
    """The reports that were deleted because they may show such a photo."""
    for cycle in _cycles(work):
        if not (work.ledger.folder(cycle.name) / REPORT).exists():
            with contextlib.suppress(AnimalsError):  # no Jinja2
                write_cycle_report(work, cycle)

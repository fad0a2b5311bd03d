"""The shards of a plan, written while photos come: by threads, or by processes where photos are packed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from animal_classification.data.duckdb_parquet import write_table
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.scale.entries import PlannedPhoto, stored_path
from animal_classification.scale.plan import SHARD_TYPES, Plan, about_shard, load_plan, shard_name
from animal_classification.scale.storage import BatchFolder

WRITERS = 8

Pack = Callable[[int, list[PlannedPhoto]], list[PlannedPhoto]]


def write_plan(
    folder: BatchFolder,
    plan: Plan,
    photos: Iterable[PlannedPhoto],
    pack: Pack | None = None,
    *,
    processes: int = 1,
) -> Plan:
    """Write the shards as the photos come; memory does not grow with their number.

    Args:
        folder: The batch's.
        plan: From :func:`plan.draft`.
        photos: Each once; their order decides the shard.
        pack: Puts the photos of a shard into a tar, and says where each is in it.
        processes: That pack; with one, threads of this process do.

    Returns:
        The plan with all its numbers, for :func:`publish`.

    Raises:
        UsageError: There is a plan already, or there are no photos.
        AnimalsError: It cannot be written.
    """
    refuse_second(folder)
    total = _Total()
    with _pool(processes) as pool:
        waiting: deque[Future[None]] = deque()
        try:
            for number, shard in enumerate(total.counted(photos, plan.shard)):
                waiting.append(pool.submit(_write_shard, folder, plan, number, shard, pack))
                if len(waiting) > WRITERS:
                    waiting.popleft().result()
            for future in waiting:
                future.result()
        except BrokenExecutor as error:
            raise AnimalsError("a process that packs photos was ended; plan again: what is packed is kept") from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if not total.photos:
        raise UsageError(f"no photos in {', '.join(map(repr, plan.sources[:3]))}: there is nothing to plan")
    return replace(
        plan,
        shards=total.shards,
        photos=total.photos,
        total_bytes=total.bytes,
        packed=pack is not None,
        sha256=total.hash.hexdigest(),
    )


def publish(folder: BatchFolder, plan: Plan) -> None:
    """Put the plan where workers look for it.

    Raises:
        UsageError: Another was put there meanwhile.
    """
    if not folder.put_new("plan.json", plan.encode()) and load_plan(folder).id != plan.id:
        raise UsageError(f"{folder.url}: somebody else has put a plan there meanwhile; plan into another --output")


def refuse_second(folder: BatchFolder) -> None:
    """A batch has one plan for ever.

    Raises:
        UsageError: There is one.
    """
    try:
        folder.read("plan.json")
    except FileNotFoundError:
        return
    raise UsageError(f"{folder.url} holds a plan already: run it, or plan into another --output")


def _pool(processes: int) -> Executor:
    if processes == 1:
        return ThreadPoolExecutor(WRITERS, thread_name_prefix="animals-plan")
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks
    return ProcessPoolExecutor(min(processes, WRITERS), mp_context=context, initializer=_begin_packing)


def _begin_packing() -> None:
    """Leave Ctrl-C to the process that plans, and end with it: a pool's processes do not see that it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="animals-parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_shard(
    folder: BatchFolder, plan: Plan, number: int, photos: Sequence[PlannedPhoto], pack: Pack | None
) -> None:
    if pack is not None:
        photos = pack(number, list(photos))
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "shard.parquet")
        rows = (
            {name: getattr(photo, name) for name in SHARD_TYPES} | {"path": stored_path(photo.path)} for photo in photos
        )  # asdict takes five times as long
        write_table(file, rows, SHARD_TYPES, json.dumps(about_shard(plan, number)))
        folder.put(shard_name(number), file.read_bytes())


@dataclass
class _Total:
    """What has been planned so far."""

    shards: int = 0
    photos: int = 0
    bytes: int = 0
    hash: Any = field(default_factory=hashlib.sha256)

    def counted(self, photos: Iterable[PlannedPhoto], size: int) -> Iterator[list[PlannedPhoto]]:
        source = iter(photos)
        while shard := list(islice(source, size)):
            self.shards += 1
            self.photos += len(shard)
            for one in shard:
                self.bytes += one.size
                self.hash.update(f"{one.name}\0{stored_path(one.path)}\0{one.size}\0{one.etag}\n".encode())
            yield shard

"""A batch on paper: its photos in shards, the model, and the options.

ID/plan.json             written last: with it the plan is there
ID/shards/00000.parquet  name, path, size, etag and offset of some 2,000 photos
ID/pack/00000.tar        the photos themselves, where the plan packs them
ID/lease/00000.000       who works on a shard (``lease.py``)
ID/out/00000.parquet     the rows, put there by whoever was first
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

from animal_classification import __version__
from animal_classification import bundle as bundles
from animal_classification.data.duckdb_parquet import read_about, read_table, write_table
from animal_classification.detection.detector import Detector
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.predict.field_request import FieldRequest
from animal_classification.predict.field_run import BoxSource, FieldRun
from animal_classification.predict.request import PredictRequest
from animal_classification.registry import resolve_model
from animal_classification.scale.entries import PlannedPhoto
from animal_classification.scale.storage import BatchFolder

VERSION = 1
SHARD = 2000
WRITERS = 8
_TYPES = {"name": "VARCHAR", "path": "VARCHAR", "size": "BIGINT", "etag": "VARCHAR", "offset": "BIGINT"}

Pack = Callable[[int, list[PlannedPhoto]], list[PlannedPhoto]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all workers of a batch agree on.

    Attributes:
        id: Different for every plan; each of its files says it.
        created: Seconds since 1970.
        code: Version of this package.
        sources: What was named.
        options: Those of ``animals predict`` that decide what stands in a row.
        model: The model's name.
        model_version: Its version.
        model_sha256: Its identity.
        shard: Photos in a shard.
        shards: How many there are.
        photos: How many there are.
        total_bytes: Of all photos.
        field_run: What tables are made from later, where photos are searched for animals (``predict.field_run``).
        packed: The photos lie in tars beside the plan.
        sha256: Of all names, places, sizes and states.
        skipped: Files that are no photos, by what they are.
    """

    id: str
    created: float
    code: str
    sources: tuple[str, ...]
    options: dict[str, Any]
    model: str
    model_version: str
    model_sha256: str
    shard: int
    shards: int = 0
    photos: int = 0
    total_bytes: int = 0
    field_run: dict[str, Any] | None = None
    packed: bool = False
    sha256: str = ""
    skipped: dict[str, int] = field(default_factory=dict)
    version: int = VERSION

    @property
    def top_k(self) -> int:
        """How many guesses a row has."""
        return int(self.options["top_k"])

    def request(self, *, engine: str = "auto", threads: int | None = None) -> PredictRequest:
        """What a worker does, in the words of ``animals predict``."""
        options = dict(self.options)
        field_options = options.pop("field", None)
        field_request = None if field_options is None else FieldRequest.of_options(field_options)
        return PredictRequest(paths=(), engine=engine, threads=threads, field=field_request, **options)

    def encode(self) -> bytes:
        return json.dumps(asdict(self), indent=2).encode()


def shard_name(number: int) -> str:
    return f"shards/{number:05d}.parquet"


def pack_name(number: int) -> str:
    return f"pack/{number:05d}.tar"


def out_name(number: int) -> str:
    return f"out/{number:05d}.parquet"


def draft(request: PredictRequest, options: Iterable[str], sources: Sequence[str], shard: int) -> Plan:
    """A plan without photos yet: the model is found and verified.

    Args:
        request: What to do with each photo.
        options: Names of the fields of the request that decide what stands in a row.
        sources: What was named.
        shard: Photos in a shard.

    Raises:
        AnimalsError: The model cannot be used.
    """
    found = bundles.load(resolve_model(request.model))
    asked, run = request.field, None
    stored: dict[str, Any] = {name: getattr(request, name) for name in options}
    if asked is not None:
        boxes = BoxSource.of(Detector.load(asked.detector, threads=1)) if asked.detector else None
        run = FieldRun.of(found.info, boxes, asked.detect)
        stored["field"] = {"detector": asked.detector, "detect": asked.detect, "time_from": asked.rules.time_from}
    return Plan(
        id=uuid.uuid4().hex,
        created=time.time(),
        code=__version__,
        sources=tuple(sources),
        options=stored,
        field_run=None if run is None else run.to_record(),
        model=found.info.name,
        model_version=found.info.version,
        model_sha256=found.sha256,
        shard=shard,
    )


def write_plan(folder: BatchFolder, plan: Plan, photos: Iterable[PlannedPhoto], pack: Pack | None = None) -> Plan:
    """Write the shards as the photos come; memory does not grow with their number.

    Args:
        folder: The batch's.
        plan: From :func:`draft`.
        photos: Each once; their order decides the shard.
        pack: Puts the photos of a shard into a tar, and says where each is in it.

    Returns:
        The plan with all its numbers, for :func:`publish`.

    Raises:
        UsageError: There is a plan already, or there are no photos.
        AnimalsError: It cannot be written.
    """
    refuse_second(folder)
    total = _Total()

    def write(numbered: tuple[int, list[PlannedPhoto]]) -> None:
        number, shard = numbered
        _write_shard(folder, plan, number, pack(number, shard) if pack else shard)

    with ThreadPoolExecutor(WRITERS, thread_name_prefix="animals-plan") as pool:
        waiting: deque[Future[None]] = deque()
        for numbered in enumerate(total.counted(photos, plan.shard)):
            waiting.append(pool.submit(write, numbered))
            if len(waiting) > WRITERS:
                waiting.popleft().result()
        for future in waiting:
            future.result()
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


def load_plan(folder: BatchFolder) -> Plan:
    """The plan of a batch.

    Raises:
        UsageError: There is none, or it is of a newer version.
    """
    try:
        found = json.loads(folder.read("plan.json"))
        if found["version"] > VERSION:
            raise UsageError(f"{folder.url}: its plan was made by a newer version of animals: update this one")
        known = {one.name for one in fields(Plan)}
        given = {name: value for name, value in found.items() if name in known}
        return Plan(**given | {"sources": tuple(found["sources"])})
    except FileNotFoundError as error:
        raise UsageError(f"no plan at {folder.url!r}: make one with animals batch plan") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder.place('plan.json')} is no plan of animals batch") from error


def read_shard(folder: BatchFolder, plan: Plan, number: int) -> list[PlannedPhoto]:
    """The photos of a shard.

    Raises:
        AnimalsError: The shard is missing, or belongs to another plan.
    """
    try:
        data = folder.read(shard_name(number))
    except FileNotFoundError as error:
        raise AnimalsError(f"{folder.place(shard_name(number))} is gone: plan again, into another --output") from error
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "shard.parquet")
        file.write_bytes(data)
        about = json.loads(read_about(file) or "{}")
        if about != _about(plan, number):
            raise AnimalsError(
                f"{folder.place(shard_name(number))} is not of this plan: two were made at once; plan into another "
                "--output"
            )
        _, rows = read_table(file)
    tar = folder.place(pack_name(number))
    return [
        PlannedPhoto(name, path if offset is None else tar, size, etag, offset)
        for name, path, size, etag, offset in rows
    ]


def _write_shard(folder: BatchFolder, plan: Plan, number: int, photos: Sequence[PlannedPhoto]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "shard.parquet")
        rows = ({name: getattr(photo, name) for name in _TYPES} for photo in photos)  # asdict takes five times as long
        write_table(file, rows, _TYPES, json.dumps(_about(plan, number)))
        folder.put(shard_name(number), file.read_bytes())


def _about(plan: Plan, number: int) -> dict[str, Any]:
    return {"plan": plan.id, "shard": number}


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
                self.hash.update(f"{one.name}\0{one.path}\0{one.size}\0{one.etag}\n".encode())
            yield shard

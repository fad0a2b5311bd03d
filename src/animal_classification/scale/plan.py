"""A batch on paper: its photos in shards, the model, and the options.

ID/plan.json             written last: with it the plan is there
ID/shards/00000.parquet  name, path, size, etag and offset of some 2,000 photos
ID/pack/00000.tar        the photos themselves, where the plan packs them
ID/boxes/00000.json      boxes of another program, where the plan was given some (``given_boxes.py``)
ID/lease/00000.000       who works on a shard (``lease.py``)
ID/out/00000.parquet     the rows, put there by whoever was first
"""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from animal_classification import __version__
from animal_classification import bundle as bundles
from animal_classification.data.duckdb_parquet import read_about, read_table
from animal_classification.detection.detector import Detector
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.predict.field_request import FieldRequest
from animal_classification.predict.field_run import BoxSource, FieldRun
from animal_classification.predict.request import PredictRequest
from animal_classification.registry import resolve_model
from animal_classification.scale.entries import PlannedPhoto, path_from_stored
from animal_classification.scale.storage import BatchFolder

VERSION = 1
SHARD = 2000
SHARD_TYPES = {"name": "VARCHAR", "path": "VARCHAR", "size": "BIGINT", "etag": "VARCHAR", "offset": "BIGINT"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all workers of a batch agree on.

    Attributes:
        id: Different for every plan; each of its files says it.
        created: Seconds since 1970.
        code: Version of this package.
        sources: What was named.
        described: The same as the journal of ``animals predict`` has it.
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
    described: tuple[str, ...] = ()
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

    @property
    def has_given_boxes(self) -> bool:
        """Whether boxes of another program lie beside the shards."""
        boxes = (self.field_run or {}).get("boxes")
        return boxes is not None and bool(boxes["file"])

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


def draft(
    request: PredictRequest,
    options: Iterable[str],
    sources: Sequence[str],
    shard: int,
    *,
    described: Sequence[str] = (),
    boxes: BoxSource | None = None,
) -> Plan:
    """A plan without photos yet: the model is found and verified.

    Args:
        request: What to do with each photo.
        options: Names of the fields of the request that decide what stands in a row.
        sources: What was named.
        shard: Photos in a shard.
        described: What was named, as a journal has it.
        boxes: Another program whose boxes are given.

    Raises:
        AnimalsError: The model cannot be used.
    """
    found = bundles.load(resolve_model(request.model))
    asked, run = request.field, None
    stored: dict[str, Any] = {name: getattr(request, name) for name in options}
    if asked is not None:
        if asked.detector:
            boxes = BoxSource.of(Detector.load(asked.detector, threads=1))
        run = FieldRun.of(found.info, boxes, asked.detect)
        stored["field"] = {
            "detector": asked.detector,
            "detect": asked.detect,
            "detections": asked.detections,
            "time_from": asked.rules.time_from,
        }
    return Plan(
        id=uuid.uuid4().hex,
        created=time.time(),
        code=__version__,
        sources=tuple(sources),
        described=tuple(described),
        options=stored,
        field_run=None if run is None else run.to_record(),
        model=found.info.name,
        model_version=found.info.version,
        model_sha256=found.sha256,
        shard=shard,
    )


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
        texts = {name: tuple(found.get(name, ())) for name in ("sources", "described")}
        return Plan(**given | texts)
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
        about, photos = stored_shard(folder, number)
    except FileNotFoundError as error:
        raise AnimalsError(f"{folder.place(shard_name(number))} is gone: plan again, into another --output") from error
    if about != about_shard(plan, number):
        raise AnimalsError(
            f"{folder.place(shard_name(number))} is not of this plan: two were made at once; plan into another --output"
        )
    tar = folder.place(pack_name(number))
    return [photo if photo.offset is None else replace(photo, path=tar) for photo in photos]


def stored_shard(folder: BatchFolder, number: int) -> tuple[dict[str, Any], list[PlannedPhoto]]:
    """What a shard's file says of itself, and its photos, each with its own path though it may be packed.

    Raises:
        FileNotFoundError: There is none.
    """
    data = folder.read(shard_name(number))
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "shard.parquet")
        file.write_bytes(data)
        _, rows = read_table(file)
        photos = [PlannedPhoto(name, path_from_stored(path), *rest) for name, path, *rest in rows]
        return json.loads(read_about(file) or "{}"), photos


def about_shard(plan: Plan, number: int) -> dict[str, Any]:
    """What the file of a shard says of itself."""
    return {"plan": plan.id, "shard": number}

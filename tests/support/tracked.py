"""Reads back what trackers wrote, each with its own library: by name, by step."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Numbers = dict[str, dict[int, float]]

_BLOCK = 32_768
_FILE_HEADER = 7
_HEADER = struct.Struct("<IHB")  # checksum, length, type: one, first, middle, last
_FULL, _LAST = 1, 4


def from_mlflow(uri: str, run_id: str, names: list[str] | None = None) -> Numbers:
    """Through MlflowClient; fails where a step is there twice."""
    from mlflow.tracking.client import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found: Numbers = {}
    for name in names or client.get_run(run_id).data.metrics:
        points = client.get_metric_history(run_id, name)
        found[name] = {point.step: point.value for point in points}
        assert len(found[name]) == len(points), f"{name}: a step is there twice"
    return found


def from_tensorboard(folder: Path) -> Numbers:
    """Through TensorBoard's EventAccumulator."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    found: Numbers = {}
    for name in events.Tags()["scalars"]:
        points = events.Scalars(name)
        found[name] = {point.step: point.value for point in points}
        assert len(found[name]) == len(points), f"{name}: a step is there twice"
    return found


def tensorboard_images(folder: Path) -> dict[str, bytes]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    return {name: events.Images(name)[0].encoded_image_string for name in events.Tags()["images"]}


def from_wandb(folder: Path) -> Numbers:
    """From the files that ``wandb sync`` would send, all parts of the run; fails where a step is there twice."""
    found: Numbers = {}
    for record in wandb_records(folder):
        if record.WhichOneof("record_type") != "history":
            continue
        items = [item for item in record.history.item if len(item.nested_key) < 2]  # pictures have a level more
        values = {"/".join(item.nested_key) or item.key: _value(item) for item in items}
        step = int(values.get("_step", record.history.step.num))
        for name, value in values.items():
            if not name.startswith("_") and isinstance(value, (int, float)):
                assert step not in found.setdefault(name, {}), f"{name}: step {step} is there twice"
                found[name][step] = float(value)
    return found


def wandb_records(folder: Path) -> Iterator[Any]:
    """What W&B has written, once its own process has ended: ``finish`` returns before that one closes its file."""
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    wandb.teardown()
    for path in sorted(folder.glob("offline-run-*/*.wandb")):
        for data in _log_entries(path.read_bytes()):
            record = Record()
            record.ParseFromString(data)
            yield record


def _log_entries(data: bytes) -> Iterator[bytes]:
    """Records of a log in LevelDB's format, which begins with ``:W&B``."""
    assert data[:4] == b":W&B"
    position, parts = _FILE_HEADER, b""
    while position + _HEADER.size <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER.size:
            position += left
            continue
        _, length, kind = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        parts += data[position : position + length]
        position += length
        if kind in (_FULL, _LAST):
            yield parts
            parts = b""


def _value(item: Any) -> Any:
    kind = item.WhichOneof("value")
    if kind in ("number", "integer", "boolean", "text"):
        return getattr(item, kind)
    text = item.json if kind == "json" else item.value_json
    return json.loads(text) if text else None

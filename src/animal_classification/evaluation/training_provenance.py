"""Provenance: what a bundle says of its own training, the recipe and the photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.data.sources import Columns, SourceOptions
from animal_classification.data.sources.recognized import FIELD_KINDS
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo

_DEFAULTS = SourceOptions()
# Among the metrics of `bundle.json`: how many photos that the model was not fitted to its rules come from.
HELD_OUT = "held_out"


@dataclass(frozen=True)
class TrainingSource:
    """Photos that a model learned from, the test photos that were kept apart included.

    Attributes:
        name: As it was named.
        options: How it was read.
    """

    name: str
    options: SourceOptions


def recipe_name(info: BundleInfo) -> str | None:
    """What ``animals train`` made it with; ``None`` where something else made it."""
    recipe = info.config.get("recipe")
    name = recipe.get("name") if isinstance(recipe, Mapping) else None
    return name if isinstance(name, str) and name else None


def is_calibrated(info: BundleInfo) -> bool:
    """Its temperature was fitted to photos; bundles from elsewhere count as calibrated."""
    return bool(info.metrics.get(HELD_OUT, True))


def export_of(info: BundleInfo) -> Mapping[str, Any]:
    """The options of `animals export`; empty if the bundle is no export."""
    asked = info.config.get("export")
    return asked if isinstance(asked, Mapping) else {}


def measured_on(info: BundleInfo, asked: SourceOptions = _DEFAULTS) -> TrainingSource:
    """The photos that the numbers of a bundle are about: its training's, or those that its export was measured on.

    Raises:
        UsageError: The bundle does not say which photos.
    """
    export = export_of(info)
    path = _text(export.get("data"))
    if path is None:
        return training_source(info, asked)
    return _source(path, export.get("reading"), asked)


def training_source(info: BundleInfo, asked: SourceOptions = _DEFAULTS) -> TrainingSource:
    """The photos that a model learned from.

    Args:
        info: The bundle's.
        asked: How somebody wants them read; what it leaves open is as it was in training.

    Raises:
        UsageError: The bundle does not say which photos.
    """
    data = info.config.get("data")
    path = data.get("path") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(path, str):
        raise UsageError(f"{info.name!r} does not say what it was trained on; name labelled photos with --data")
    return _source(path, data, asked)


def _source(path: str, reading: object, asked: SourceOptions) -> TrainingSource:
    words = reading if isinstance(reading, Mapping) else {}
    root = _text(words.get("root"))
    columns = words.get("columns")
    then = {name: _text(columns.get(name)) for name in asdict(asked.columns)} if isinstance(columns, Mapping) else {}
    kind = asked.kind if asked.kind != _DEFAULTS.kind else _text(words.get("kind")) or _DEFAULTS.kind
    is_field = kind in FIELD_KINDS  # boxes and blanks apply to no other
    boxes = _text(words.get("boxes")) if is_field else None
    options = replace(
        asked,
        kind=kind,
        root=asked.root or (None if root is None else Path(root)),
        boxes=asked.boxes or (None if boxes is None else Path(boxes)),
        blanks=asked.blanks or (is_field and words.get("blanks") is True),
        columns=Columns(**{name: now or then.get(name) for name, now in asdict(asked.columns).items()}),
    )
    return TrainingSource(path, options)


def _text(value: object) -> str | None:
    """Bundles may come from anybody: anything but text is ignored."""
    return value if isinstance(value, str) and value else None

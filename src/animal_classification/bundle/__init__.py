"""What a trained model *is* on disk: write, verify, load, describe.

May import ``imaging``, ``common`` and ``errors``; no inference engine.

    >>> from animal_classification import bundle
    >>> photos = bundle.load("photos")                      # or a directory, or gs://bucket/models/zoo
    >>> photos.info.labels[0].name
    'tench'

Names are resolved on first use, so that importing this room costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animal_classification.bundle.description import describe, resolve_name
    from animal_classification.bundle.document import upgrade
    from animal_classification.bundle.loader import builtin_names, load
    from animal_classification.bundle.model import Bundle
    from animal_classification.bundle.schema import (
        SCHEMA_VERSION,
        BackgroundClass,
        BundleInfo,
        Calibration,
        Code,
        Conformal,
        Data,
        Label,
        Preprocess,
        Rollup,
        Unknown,
    )
    from animal_classification.bundle.writer import write

__all__ = [
    "SCHEMA_VERSION",
    "BackgroundClass",
    "Bundle",
    "BundleInfo",
    "Calibration",
    "Code",
    "Conformal",
    "Data",
    "Label",
    "Preprocess",
    "Rollup",
    "Unknown",
    "builtin_names",
    "describe",
    "load",
    "resolve_name",
    "upgrade",
    "write",
]

_HOME = {
    "Bundle": "model",
    "builtin_names": "loader",
    "describe": "description",
    "load": "loader",
    "resolve_name": "description",
    "upgrade": "document",
    "write": "writer",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'schema')}"), name)

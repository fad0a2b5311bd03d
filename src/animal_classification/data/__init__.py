"""Labelled photos: where they come from, what is wrong with them, and how they are divided.

May import ``imaging``, ``common`` and ``errors``. Embeddings come in as arrays: no engine is needed here.

    >>> from animal_classification import data
    >>> manifest = data.read_source("photos/")            # or a table, an archive, gs://…, animal-mnist, kaggle:…
    >>> data.split(manifest, test=0.2, val=0.1, seed=0).manifest.write("manifest.parquet")

Names are resolved on first use, so that importing this room costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animal_classification.data.cleanup import clean
    from animal_classification.data.embedding_cache import embed
    from animal_classification.data.manifest import SPLITS, Manifest, ManifestRow
    from animal_classification.data.quality.inspection import InspectionRules, inspect
    from animal_classification.data.scanner import Facts, scan
    from animal_classification.data.sources import Columns, SourceOptions, read_source
    from animal_classification.data.splitter import SplitPlan, split

__all__ = [
    "SPLITS",
    "Columns",
    "Facts",
    "InspectionRules",
    "Manifest",
    "ManifestRow",
    "SourceOptions",
    "SplitPlan",
    "clean",
    "embed",
    "inspect",
    "read_source",
    "scan",
    "split",
]

_HOME = {
    "SPLITS": "manifest",
    "Columns": "sources",
    "Facts": "scanner",
    "InspectionRules": "quality.inspection",
    "Manifest": "manifest",
    "ManifestRow": "manifest",
    "SourceOptions": "sources",
    "SplitPlan": "splitter",
    "clean": "cleanup",
    "embed": "embedding_cache",
    "inspect": "quality.inspection",
    "read_source": "sources",
    "scan": "scanner",
    "split": "splitter",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

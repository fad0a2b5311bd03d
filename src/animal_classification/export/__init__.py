"""A trained model made smaller and faster, and measured before it is kept.

May import ``evaluation``, ``inference``, ``data``, ``bundle``, ``imaging`` and ``errors``; torch only by the name of a
module under ``training.neural``.

Names are resolved on first use, so that importing this room costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animal_classification.export.exporter import ExportedModel, ExportRequest, export
    from animal_classification.export.formats import KINDS

__all__ = ["KINDS", "ExportRequest", "ExportedModel", "export"]

_HOME = {"KINDS": "formats"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'exporter')}"), name)

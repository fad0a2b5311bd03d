"""The server: an HTTP API and web pages over one model or several. Needs the extra ``serve``.

May import ``monitoring``, ``predict``, ``registry``, ``inference``, ``prediction_log`` and what is below them.
"""

# Imported where they are used: FastAPI and what else comes with the extra.

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["create_app", "run_server"]

if TYPE_CHECKING:
    from animal_classification.serving.app import create_app
    from animal_classification.serving.process.server import run_server


def __getattr__(name: str) -> object:
    if name == "create_app":
        from animal_classification.serving.app import create_app

        return create_app
    if name == "run_server":
        from animal_classification.serving.process.server import run_server

        return run_server
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

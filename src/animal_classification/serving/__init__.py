"""The server: an HTTP API and a web page over one classifier that is loaded once.

May import ``inference``, ``bundle``, ``imaging``, ``settings`` and ``errors``. FastAPI comes with the extra ``serve``,
Gradio, which only ``gradio_app`` imports, with the extra ``gradio``.
"""

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

"""Importing Gradio in half the time, and without it writing into its own folder."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def without_stub_files() -> Iterator[None]:
    """Keep Gradio from making its ``.pyi`` files again while it is imported.

    For each of its 80 component classes Gradio parses the class's source, makes a type stub from it and compares that
    with the one it was shipped with: more than a second, at every start, to change nothing. It skips a class whose
    source has no file, which is what ``inspect.getfile`` says of Gradio's classes inside this context. A version of
    Gradio that does not ask is not affected.
    """
    real = inspect.getfile

    def getfile(subject: Any) -> str:
        if inspect.isclass(subject) and subject.__module__.split(".")[0] == "gradio":
            raise OSError(f"{subject.__module__}: no stub file is wanted")
        return real(subject)

    inspect.getfile = getfile  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = real

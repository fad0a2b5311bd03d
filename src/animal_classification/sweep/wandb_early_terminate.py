"""W&B's ``early_terminate`` in our own words: Hyperband with ``min_iter`` or ``max_iter`` and ``s``, and ``eta``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from animal_classification.errors import UsageError

# W&B's own, where the file says nothing.
_ETA = 3
_READ = {"type", "min_iter", "max_iter", "s", "eta"}


def stopping_words(early: Any, path: Path, notes: list[str]) -> Iterator[str]:
    """Words for ``compose``.

    Args:
        early: What the file says under ``early_terminate``; ``None`` for nothing.
        path: The file, for messages.
        notes: Gets a line for each key that is not used.

    Raises:
        UsageError: It is no Hyperband, or a number is none.
    """
    if early is None:
        yield "sweep.pruner=none"
        return
    if not isinstance(early, Mapping) or early.get("type") != "hyperband":
        raise UsageError(f"{path}: early_terminate is {early!r}; only its type hyperband is known")
    yield "sweep.pruner=hyperband"
    eta = _whole(early, "eta", path, least=2)
    if eta is not None:
        yield f"sweep.reduction_factor={eta}"
    if (least := _least_epochs(early, eta or _ETA, path)) is not None:
        yield f"sweep.min_resource={least}"
    unused = sorted(str(key) for key in early if key not in _READ)
    notes.extend(f"{path}: early_terminate.{key} is not used" for key in unused)


def _least_epochs(early: Mapping[str, Any], eta: int, path: Path) -> int | None:
    """The epochs of the first bracket: named, or as many as ``s`` brackets leave of the last."""
    least, most = _whole(early, "min_iter", path, least=1), _whole(early, "max_iter", path, least=1)
    if least is not None or most is None:
        return least
    brackets = _whole(early, "s", path, least=1)
    least_of_all: int = max(1, most // eta ** (brackets or 1))
    return least_of_all


def _whole(early: Mapping[str, Any], key: str, path: Path, *, least: int) -> int | None:
    value = early.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value) or value < least:
        raise UsageError(f"{path}: early_terminate.{key} is {value!r}; it must be a whole number from {least} on")
    return int(value)

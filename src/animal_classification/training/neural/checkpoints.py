"""What a killed run goes on from: a file that is whole or not there."""

from __future__ import annotations

import contextlib
import io
import pickle
import uuid
from pathlib import Path
from typing import Any

import torch

from animal_classification.common.atomic import sync
from animal_classification.errors import AnimalsError, OutputError

State = dict[str, Any]


def save(path: Path, state: State) -> None:
    """Write it beside, bring it to the disk, then give it its name: what was there stays good until then.

    Raises:
        OutputError: The system refuses; the last checkpoint is as it was.
    """
    stream = io.BytesIO()
    torch.save(state, stream)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path)
        temporary.write_bytes(stream.getbuffer())
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        kept = "the last one is good" if path.exists() else "there is none yet"
        raise OutputError(
            f"{str(path)!r}: the checkpoint cannot be written ({error.strerror or error}); {kept}: make room and give "
            "the same command again, and it goes on from there"
        ) from error


def load(path: Path) -> State | None:
    """The last checkpoint, on the CPU; ``None`` where there is none. Nothing in it is ever executed.

    Raises:
        AnimalsError: It is damaged.
    """
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise AnimalsError(
            f"{str(path)!r}: the checkpoint is damaged; delete it and give the same command to begin anew"
        ) from error
    return state


def _clear(path: Path) -> None:
    """Delete what a process left that was killed while it wrote."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        left.unlink(missing_ok=True)

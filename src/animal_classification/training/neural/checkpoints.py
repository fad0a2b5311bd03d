"""What a killed run goes on from: a file that is whole or not there."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from animal_classification.common.atomic import new_file, remove_leftovers
from animal_classification.errors import AnimalsError, OutputError

State = dict[str, Any]


def save(path: Path, state: State) -> None:
    """Write it beside, bring it to the disk, then give it its name: what was there stays good until then.

    Raises:
        OutputError: The system refuses; the last checkpoint is as it was.
    """
    stream = io.BytesIO()
    torch.save(state, stream)
    try:
        remove_leftovers(path)  # nobody else has this run
        with new_file(path) as temporary:
            temporary.write_bytes(stream.getbuffer())
    except OSError as error:
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

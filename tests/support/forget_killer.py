"""Deletes a photo and is killed with SIGKILL at a given moment; started as a process of its own by the tests.

    python -m tests.support.forget_killer ROOT PHOTO FIRST STEP

The place in ROOT is copied; the copy's deletion dies just before the FIRST-th time that it renames or deletes a file,
and another process does it again, and to the end. Then the same with another copy STEP later, until nothing is left to
die at. Prints, as JSON, what is left in each copy. Children are forked, so that everything is imported once; this
process itself does nothing else, because libraries with threads of their own do not survive a fork.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select

from animal_classification.cli.main import main as animals
from animal_classification.data.manifest import Manifest
from animal_classification.loop.config import load_config
from animal_classification.loop.forgotten_photos import ForgottenPhotos
from animal_classification.loop.workplace import open_workplace
from animal_classification.prediction_log.database import reading
from animal_classification.prediction_log.tables import feedback, predictions
from tests.support.loop_place import configure

_DEADLY = {"os.rename", "os.remove", "os.link", "shutil.rmtree"}


def main(root: Path, photo: str, first: int, step: int) -> None:
    """Kill at every moment, from ``first`` on."""
    found, moment, alive = [], first, False
    while not alive:
        with tempfile.TemporaryDirectory(prefix="animals-forget-") as folder:
            copy = Path(folder) / "place"
            shutil.copytree(root, copy)
            configure(copy)
            alive = _forked(partial(_forget, copy, photo, moment)) == 0
            code = _forked(partial(_forget, copy, photo, None))
            assert code in (0, 256), f"moment {moment}: {code}"  # 256: exit code 1, nothing was left
            assert _forked(partial(_write_end_state, copy, photo, Path(folder) / "end.json")) == 0
            found.append(json.loads((Path(folder) / "end.json").read_text(encoding="utf-8")))
        moment += step
    print(json.dumps(found))


def end_state(root: Path, photo: str) -> dict[str, Any]:
    """All that must not depend on when somebody pulled the plug."""
    with open_workplace(load_config(root / "loop.yaml")) as work:
        rows = work.ledger.transitions()
        problems = work.ledger.verify()
        with reading(work.engine) as connection:
            kept = sorted(connection.execute(select(predictions.c.photo)).scalars())
            words = len(connection.execute(select(feedback.c.number)).all())
        listed = photo in ForgottenPhotos.read(work.home)
    places = [root / name for name in ("photos", "loop", "log", "cache")]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    return {
        "states": [row.state for row in rows],
        "ledger": [row.decision.get("deleted") for row in rows],
        "problems": problems,
        "kept": kept,
        "words": words,
        "listed": listed,
        "manifests": {
            str(path.relative_to(root)): sorted(str(row.sha256) for row in Manifest.read(path))
            for path in files
            if path.suffix == ".parquet"
        },
        "naming": [str(path) for path in files if photo in path.name or photo.encode() in path.read_bytes()],
        "files": sorted(
            str(path.relative_to(root)) for path in files if "-wal" not in path.name and "-shm" not in path.name
        ),
    }


def _forget(root: Path, photo: str, moment: int | None) -> int:
    """Delete the photo, and die at that moment."""
    if moment is not None:
        _die_at(moment)
    return animals(["monitor", "forget", photo, "--loop", str(root / "loop.yaml")])


def _write_end_state(root: Path, photo: str, file: Path) -> int:
    found = end_state(root, photo)
    file.write_text(json.dumps(found), encoding="utf-8")
    return 0


def _forked(work: Callable[[], int]) -> int:
    """The exit status of a process of its own."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    code = 3
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _die_at(moment: int) -> None:
    left = moment

    def heard(event: str, _: object) -> None:
        nonlocal left
        if event in _DEADLY:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(heard)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

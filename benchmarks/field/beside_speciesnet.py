"""Finding animals beside SpeciesNet's own pipeline, with one network of the size of MegaDetector v5a in both."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PHOTOS = 4
STANDIN = Path(__file__).with_name("speciesnet_standin.py")
NOT_MEASURED = (
    "Beside SpeciesNet: not measured; --speciesnet-python names a Python that has it (pip install speciesnet). "
    "Beside MegaDetector's package: cannot be; it installs only with a network, because its YOLOv5 fetches "
    "while it is built."
)


def beside_speciesnet(python: Path | None, photos: Sequence[Path]) -> str:
    """A line of a table in CPU seconds a photo, engines' start left out; or why there is none.

    Args:
        python: Has SpeciesNet.
        photos: The first few are used: SpeciesNet's network takes many seconds for each.
    """
    if python is None:
        return NOT_MEASURED
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = subprocess.run([python, STANDIN, folder], capture_output=True, text=True, check=False)
        if made.returncode:
            return f"Beside SpeciesNet: its stand-in cannot be made ({made.stderr.strip().splitlines()[-1]})"
        own = {**os.environ, "XDG_DATA_HOME": str(folder / "data")}
        add = [
            "detectors",
            "add",
            folder / "standin.onnx",
            "--kind",
            "yolov5",
            "--name",
            "standin",
            "--license",
            "none",
        ]
        _run([*_animals(), *add, "--size", "1280", "--categories", "animal,person,vehicle"], own)
        theirs = [python, "-m", "speciesnet.scripts.run_model", "--detector_only", "--bypass_prompts"]
        theirs += [f"--model={folder}", "--noprogress_bars"]
        ours = [*_animals(), "predict", "--detector", "standin", "--quiet"]
        # The first run of each reads its libraries from the disk, and does not count.
        sets = [_linked(photos[:count], folder / f"photos-{number}") for number, count in enumerate((1, 1, PHOTOS))]
        peer = [_run([*theirs, f"--folders={one}", f"--predictions_json={one}.json"], dict(os.environ)) for one in sets]
        self_ = [_run([*ours, str(one), "-o", f"{one}.csv"], own) for one in sets]
    each = [(many - one) / (PHOTOS - 1) for _, one, many in (peer, self_)]
    return (
        f"YOLOv5x6 at 1280 pixels with random weights, CPU seconds a photo: SpeciesNet's detector {each[0]:.1f}, "
        f"animals predict --detector {each[1]:.1f}. SpeciesNet gives it a photo in its own proportions, we give it a "
        "square: at 4:3 a third more pixels"
    )


def _animals() -> list[str]:
    return [sys.executable, "-m", "animal_classification.cli"]


def _linked(photos: Sequence[Path], folder: Path) -> Path:
    folder.mkdir()
    for number, photo in enumerate(photos):
        (folder / f"{number}.jpg").symlink_to(photo.resolve())
    return folder


def _run(words: Sequence[object], environment: dict[str, str]) -> float:
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

"""A still camera takes thousands of pictures that are nearly one: their pairs must not be what memory grows with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.tiny_bundle import write_tiny_bundle

pytest.importorskip("resource", reason="Windows tells the most memory in another way")
CLASSES = ("badger", "fox")
# Runs the command line in a process of its own, and says at the end how much memory it took at most, in kilobytes. On
# Linux `ru_maxrss` would tell what the process took that started this one.
MEASURED = """
import resource, sys
from pathlib import Path
from animal_classification.cli.main import main
code = main(sys.argv[1:])
status = Path("/proc/self/status")
if status.is_file():
    most = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
else:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
print(f"most {most}", file=sys.stderr)
sys.exit(code)
"""


def frames(folder: Path, count: int) -> Path:
    """Two cameras, each with one scene, a patch that moves, and noise."""
    rng = np.random.default_rng(0)
    coarse = [Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)) for _ in CLASSES]
    scenes = [np.asarray(picture.resize((64, 48), Image.Resampling.NEAREST)) for picture in coarse]
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    for number in range(count):
        scene = scenes[number % 2].astype(np.int64)
        x, y = rng.integers(0, 60), rng.integers(0, 44)
        scene[y : y + 4, x : x + 4] = rng.integers(0, 256, 3)
        scene += rng.integers(-6, 7, scene.shape)
        picture = Image.fromarray(scene.clip(0, 255).astype(np.uint8))
        picture.save(folder / CLASSES[number % 2] / f"{number:05}.jpg", quality=80)
    return folder


def megabytes(home: Path, *words: object) -> float:
    """The most memory that a command took."""
    environment = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, words)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stderr.rsplit("most ", 1)[1]) / 1024


def test_three_thousand_frames(tmp_path: Path) -> None:
    photos = frames(tmp_path / "photos", 3000)
    model = write_tiny_bundle(tmp_path / "tiny", names=CLASSES)
    took = {
        "inspect": megabytes(tmp_path, "data", "inspect", photos, "--no-embed"),
        "split": megabytes(tmp_path, "data", "split", photos, "-o", tmp_path / "split.parquet"),
        "evaluate": megabytes(tmp_path, "evaluate", model, photos),
    }
    # As a list, the 2.2 million pairs took 250 MB more than this.
    assert max(took["inspect"], took["split"]) < 200, took
    assert took["evaluate"] < 400, took


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_twenty_thousand_frames(tmp_path: Path) -> None:
    photos = frames(tmp_path / "photos", 20_000)
    runs = tmp_path / "runs"
    took = {
        "split": megabytes(tmp_path, "data", "split", photos, "-o", tmp_path / "split.parquet"),
        "train": megabytes(
            tmp_path, "train", f"data.path={photos}", f"output={runs}", "backbone.size=32", "tracking.to=[]"
        ),
    }
    (bundle,) = runs.glob("*/bundle")
    took["evaluate"] = megabytes(tmp_path, "evaluate", bundle, photos, "--split", "all")
    took["inspect"] = megabytes(tmp_path, "data", "inspect", photos, "--model", bundle)
    assert max(took.values()) < 1000, took

"""Training and prediction on one device, as a table in Markdown; started by ``run.sh``.

A row that cannot be measured says why, and the others go on: a device that is lent is lent for minutes.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from shutil import which

import numpy as np

from animal_classification.bundle import load
from animal_classification.common.atomic import write_bytes
from animal_classification.common.limits import available_cpus
from animal_classification.data.discovery import PhotoPaths
from animal_classification.errors import AnimalsError
from animal_classification.inference.engine import create_engine
from animal_classification.registry import resolve_model

LIMIT = 60.0  # seconds for each training, and for a folder
SECONDS = 4.0  # for each size of batch
RECIPES = (("cnn", "32"), ("cnn", "bf16"), ("finetune", "bf16"))


@dataclass
class Busy:
    """How much of the time the GPU computed, asked of ``nvidia-smi`` twice a second."""

    readings: list[float] = field(default_factory=list)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Ask until the block ends."""
        over = threading.Event()
        watcher = threading.Thread(target=self._ask, args=(over,), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _ask(self, over: threading.Event) -> None:
        words = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
        while which(words[0]) and not over.wait(0.5):
            answer = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
            if answer.replace(".", "").isdigit():
                self.readings.append(float(answer))

    def __str__(self) -> str:
        return f"{np.mean(self.readings):.0f}%" if self.readings else "unknown"


def run(words: list[str]) -> tuple[Busy, float]:
    """Run a command; how busy the GPU was, and how many seconds it took from start to end."""
    busy, begun = Busy(), time.perf_counter()
    with busy.watch():
        try:
            done = subprocess.run([*words, "--quiet"], capture_output=True, text=True, check=False, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise AnimalsError(f"not done after {LIMIT:.0f} s") from None
    if done.returncode:
        raise AnimalsError((done.stderr.strip().splitlines() or ["it failed"])[-1])
    return busy, time.perf_counter() - begun


def training_row(photos: Path, device: str, recipe: str, precision: str, work: Path) -> tuple[str, ...]:
    """One short training: photos a second in its best epoch, and how busy the GPU was."""
    output = work / f"{recipe}-{precision}"
    words = [sys.executable, "-m", "animal_classification.cli", "train", f"recipe={recipe}", f"data.path={photos}"]
    words += [f"trainer.accelerator={device}", f"trainer.precision={precision}", "recipe.epochs=3", f"output={output}"]
    busy, seconds = run(words)
    rate = max(speeds(output), default=float("nan"))
    return (
        f"train {recipe}, {precision}",
        f"{rate:.0f}",
        str(busy),
        f"3 epochs, {seconds:.0f} s in all",
    )


def speeds(output: Path) -> Iterator[float]:
    """What the trainings below a folder wrote as photos a second."""
    for table in output.rglob("metrics.csv"):
        with table.open(encoding="utf-8", newline="") as file:
            yield from (float(row["images_per_second"]) for row in csv.DictReader(file) if row.get("images_per_second"))


def engine_rows(engine: str) -> Iterator[tuple[str, ...]]:
    """The engine alone, on pixels that are there already, with 1, 8 and 24 images to a call."""
    bundle = load(resolve_model("photos"))
    size = bundle.preprocess_spec.size
    running = create_engine(bundle.model_path, outputs=("logits", "embedding"), name=engine)
    for batch in (1, 8, 24):
        images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
        running.infer(images)
        busy, calls, begun = Busy(), 0, time.perf_counter()
        with busy.watch():
            while time.perf_counter() - begun < SECONDS:
                running.infer(images)
                calls += 1
        rate = calls * batch / (time.perf_counter() - begun)
        yield f"engine alone, {batch} to a call", f"{rate:.0f}", str(busy), engine


def predict_row(photos: Path, engine: str, work: Path) -> tuple[str, ...]:
    """A folder of 2,000 names, decoded and predicted."""
    folder = work / "many"
    folder.mkdir()
    found = [photo.path for photo in PhotoPaths([str(photos)]).walk()]
    for number, path in enumerate(islice(cycle(found), 2000)):
        (folder / f"{number:05}{Path(path).suffix}").symlink_to(Path(path).absolute())
    words = [sys.executable, "-m", "animal_classification.cli", "predict", str(folder), "--engine", engine]
    busy, seconds = run([*words, "-o", str(work / "table.csv")])
    return "animals predict, 2,000 photos", f"{2000 / seconds:.0f}", str(busy), f"{available_cpus()} cores decode"


def measured(photos: Path, device: str) -> Iterator[tuple[str, ...]]:
    """Every row, or why there is none."""
    engine = "onnxruntime-cuda" if device == "cuda" else "onnxruntime"
    with tempfile.TemporaryDirectory(prefix="animals-gpu-") as temporary:
        work = Path(temporary)
        try:
            yield from engine_rows(engine)
            yield predict_row(photos, engine, work)
        except AnimalsError as error:
            yield f"predict with {engine}", "-", "-", str(error)
        for recipe, precision in RECIPES:
            try:
                yield training_row(photos, device, recipe, precision, work)
            except AnimalsError as error:
                yield f"train {recipe}, {precision}", "-", "-", str(error)


def device_name(device: str) -> str:
    """What the rows were measured on."""
    if device != "cuda":
        return platform.processor() or platform.machine()
    words = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader", "--id=0"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() if which(words[0]) else "?"


def main() -> None:
    """Measure, and write the table row by row: what is there stays if the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--table", type=Path, default=Path("gpu.md"))
    options = parser.parse_args()
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    lines = [f"On {device_name(options.device)}.", "", "| what | photos/s | GPU busy | |", "|---|--:|--:|---|"]
    for row in measured(options.photos, options.device):
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
        write_bytes(("\n".join(lines) + "\n").encode(), options.table)


if __name__ == "__main__":
    main()

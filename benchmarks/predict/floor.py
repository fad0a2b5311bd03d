"""What the cores allow: decoding alone and inference alone, each on all cores, with exactly our code.

python -m benchmarks.predict.floor FOLDER --report report.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from animal_classification import bundle, imaging
from animal_classification.common.limits import available_cpus
from animal_classification.inference.engine import create_engine
from benchmarks.predict.photos import list_photos

PRELOADED = 256  # photos kept as pixels: more would only fill memory
BATCHES = (1, 2, 4, 8, 16)
TRIAL = 96  # photos to choose the batch by
CHUNK = 8


def on_all_cores(pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """Seconds that ``work`` takes over all ``items``."""
    start = time.perf_counter()
    for _ in pool.map(work, items):
        pass
    return time.perf_counter() - start


def decode_seconds(pool: ThreadPoolExecutor, files: Sequence[Path], spec: imaging.PreprocessSpec) -> float:
    """Seconds per photo to read, decode and crop."""
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    return on_all_cores(pool, lambda chunk: [imaging.preprocess(path, spec) for path in chunk], chunks) / len(files)


def inference_seconds(
    pool: ThreadPoolExecutor, infer: Callable[[Any], Any], pixels: np.ndarray[Any, Any], *, batch: int, count: int
) -> float:
    """Seconds per photo to infer ``count`` photos (at least) in batches of ``batch``."""
    batches = [pixels[start : start + batch] for start in range(0, len(pixels) - batch + 1, batch)]
    wanted = max(1, count // batch)
    repeated = [batches[number % len(batches)] for number in range(wanted)]
    return on_all_cores(pool, infer, repeated) / (wanted * batch)


def main() -> None:
    """Measure both, one after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    cpus = available_cpus()
    files = list_photos(options.folder)
    photos = bundle.load("photos")
    spec = photos.preprocess_spec
    engine = create_engine(photos.model_path, outputs=("logits",), threads=cpus)
    with ThreadPoolExecutor(cpus) as pool:
        some = list(pool.map(lambda path: imaging.preprocess(path, spec), files[:PRELOADED]))
        pixels = np.stack((some * BATCHES[-1])[: max(len(some), BATCHES[-1])])
        measure = partial(inference_seconds, pool, engine.infer, pixels)
        for batch in BATCHES:  # the first call of a shape is slower
            measure(batch=batch, count=cpus * batch)
        best = min(BATCHES, key=lambda batch: measure(batch=batch, count=TRIAL))
        inference = measure(batch=best, count=len(files))
        decode = decode_seconds(pool, files, spec)
    report = {"decode": decode, "inference": inference, "batch": best, "cores": cpus, "engine": engine.name}
    options.report.write_text(json.dumps(report))


if __name__ == "__main__":
    main()

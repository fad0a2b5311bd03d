"""Tries settings of ``torch_loop.py`` on a few photos, one after the other, in one process and allocator.

One axis at a time, each from the best found so far: workers with threads, then batch, then what is on by default here
and might not help (channels-last, reduced decoding, bytes between processes).

    python -m benchmarks.predict.torch_search FOLDER --cores 2 --sample 96 --report report.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import torch

from benchmarks.predict.torch_loop import Photos, Settings, infer, list_photos, load_model

BATCHES = (8, 16, 32, 64)


def candidates(best: Settings, axis: int, cores: int) -> Iterator[Settings]:
    """The settings to compare on one axis, ``best`` among them."""
    threads = sorted({1, max(1, cores // 2), cores})
    workers = sorted({0, 1, max(1, cores // 2), cores})
    if axis == 0:
        yield from (replace(best, workers=w, threads=t) for w, t in product(workers, threads))
    elif axis == 1:
        yield from (replace(best, batch=batch) for batch in BATCHES)
    else:
        name = ("channels_last", "draft", "uint8")[axis - 2]
        yield from (replace(best, **{name: value}) for value in (True, False))


def photos_per_second(files: list[Path], settings: Settings) -> float:
    """Speed of decoding and inferring ``files``, after one batch that is not counted."""
    torch.set_num_threads(settings.threads or 1)
    model = load_model(settings)
    for _ in infer(model, Photos(files[: settings.batch], settings), settings):
        pass
    start = time.perf_counter()
    for _ in infer(model, Photos(files, settings), settings):
        pass
    return len(files) / (time.perf_counter() - start)


def search(files: list[Path], cores: int) -> dict[Settings, float]:
    """Return every setting tried, with its photos per second."""
    best = Settings(workers=1, threads=cores, batch=16, channels_last=True, draft=True, uint8=True)
    tried: dict[Settings, float] = {}
    for axis in range(5):
        for settings in candidates(best, axis, cores):
            if settings not in tried:
                tried[settings] = photos_per_second(files, settings)
        best = max(tried, key=tried.__getitem__)
    return tried


def main() -> None:
    """Search, and report all that was tried."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--sample", type=int, default=96)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    tried = search(list_photos(options.folder, options.sample), options.cores)
    rows = [{"settings": asdict(settings), "photos_per_second": speed} for settings, speed in tried.items()]
    options.report.write_text(json.dumps({"tried": rows}))


if __name__ == "__main__":
    main()

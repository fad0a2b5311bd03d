"""A process of its own: the engine on preloaded tensors, which nothing can be faster than. Prints one object."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from animal_classification import bundle, imaging
from animal_classification.data.sources.listing import walk_photos
from animal_classification.errors import ImageError
from animal_classification.inference.engine import available_cpus, create_engine
from animal_classification.inference.stream import map_in_chunks


def main(folder: Path) -> None:
    photos = bundle.load("photos")
    spec = photos.preprocess_spec

    def decode(files: list[Path]) -> list[np.ndarray | None]:
        return [_pixels(file, spec) for file in files]

    files = [folder / name for name in walk_photos(folder).photos]
    loaded = list(map_in_chunks(decode, files, workers=available_cpus(), chunk=8))
    pixels = np.stack([picture for picture in loaded if picture is not None])
    engine = create_engine(photos.model_path, outputs=("embedding",))
    engine.infer(pixels[:8])
    begun = time.perf_counter()
    batches = range(0, len(pixels), 8)
    list(
        map_in_chunks(
            lambda s: [engine.infer(pixels[i : i + 8]) for i in s], batches, workers=available_cpus(), chunk=1
        )
    )
    print(json.dumps({"seconds": time.perf_counter() - begun, "photos": len(pixels), "engine": engine.name}))


def _pixels(file: Path, spec: imaging.PreprocessSpec) -> np.ndarray | None:
    try:
        return imaging.preprocess(file, spec)
    except ImageError:
        return None


if __name__ == "__main__":
    main(Path(sys.argv[1]))

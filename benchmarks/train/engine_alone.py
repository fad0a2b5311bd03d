"""A process of its own: the engine on preloaded tensors, which nothing can be faster than. Prints one object."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from animal_classification.common.parallel import ordered_map
from animal_classification.config.compose import compose
from animal_classification.data.sources.listing import walk_photos
from animal_classification.errors import ImageError
from animal_classification.inference.engine import Engine, create_engine
from animal_classification.inference.stream import decoded_files
from animal_classification.training.probe.backbone import BundleBackbone

BATCHES = (1, 2, 4, 8)


def main(folder: Path, size: str) -> None:
    """Measure at the size that the probe looks at, or (``built-in``) at the one that the backbone was trained with."""
    backbone = BundleBackbone.of(compose([f"data.path={folder}"]))
    if size == "built-in":
        backbone = BundleBackbone(backbone.bundle)
    spec = backbone.spec

    files = [folder / name for name in walk_photos(folder).photos]
    pixels = np.stack([picture for picture in decoded_files(files, spec) if not isinstance(picture, ImageError)])
    engine = create_engine(backbone.bundle.model_path, outputs=("embedding",), content=backbone.model)
    engine.infer(pixels[:8])
    sizes = {size: _seconds(engine, pixels, size) for size in BATCHES}
    best = min(sizes, key=sizes.__getitem__)
    facts = {"batch": best, "photos": len(pixels), "engine": engine.name, "size": spec.size}
    print(json.dumps({"seconds": sizes[best], **facts}))


def _seconds(engine: Engine, pixels: np.ndarray, size: int) -> float:
    """For all photos in batches of one size, a call to a core."""

    def work(starts: list[int]) -> list[object]:
        return [engine.infer(pixels[start : start + size]) for start in starts]

    begun = time.perf_counter()
    list(ordered_map(work, range(0, len(pixels), size)))
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

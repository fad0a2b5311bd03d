"""Photos drawn in code: as different from each other as photos are, and small."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.scanner import Facts


def picture(seed: int, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """Coloured clouds."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def draw(path: Path, seed: int, size: tuple[int, int] = (96, 72)) -> Path:
    """Write a picture in the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, size).save(path)
    return path


def seed_of(name: str, index: int) -> int:
    """What ``draw_classes`` draws a picture of a class with."""
    return zlib.crc32(f"{name} {index}".encode())


def draw_classes(folder: Path, counts: dict[str, int]) -> Path:
    """A folder of classes; every picture is another."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            draw(folder / name / f"{index}.png", seed_of(name, index))
    return folder


def listed(*rows: ManifestRow, root: Path = Path("/nowhere")) -> tuple[Manifest, list[Facts]]:
    """A manifest without files, and facts to go with it: contents whose pictures have nothing in common."""
    manifest = Manifest.of(rows, root)
    return manifest, [Facts(sha256=row.sha256) for row in manifest]

"""The animals of photos as photos of their own: squares cut out once, and kept in the cache as PNG.

A square is cut out of the upright photo at full scale, as ``animals predict`` cuts it, so that a model learns from what
it will be shown. Squares of up to ``LARGEST`` pixels keep every pixel; no model here looks at more.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from PIL import Image

from animal_classification.common import atomic
from animal_classification.common.parallel import ordered_map
from animal_classification.common.progress import Progress, silent
from animal_classification.data.cache_folder import cache_error
from animal_classification.data.detections import Detection
from animal_classification.data.recognitions.entry import Size, is_turned
from animal_classification.data.square_crop import square_crop
from animal_classification.errors import ImageError
from animal_classification.imaging import Limits
from animal_classification.imaging.decoding import opened
from animal_classification.imaging.photo import Photo

LARGEST = 640
# Raise it when a square would come out differently: what was cut before is then left alone.
_RULE = 1


@dataclass(frozen=True, slots=True)
class Cutting:
    """One photo, and what is to be cut out of it.

    Attributes:
        photo: Its path, relative to the photos' folder.
        boxes: Animals in it.
        size: Width and height that the boxes were measured on, where that is known.
    """

    photo: str
    boxes: tuple[Detection, ...]
    size: Size | None = None


@dataclass(frozen=True)
class CropFolder:
    """Crops of the photos of one folder, in the cache.

    Attributes:
        photos: The folder of the photos.
        cache: The cache.
    """

    photos: Path
    cache: Path

    @property
    def root(self) -> Path:
        """Where the crops lie, each in a folder that has its photo's path."""
        name = hashlib.sha256(os.fsencode(self.photos.absolute())).hexdigest()[:16]
        return self.cache / "crops" / name

    def cut(
        self, cuttings: Sequence[Cutting], *, workers: int | None = None, progress: Progress = silent
    ) -> list[tuple[str, ...] | None]:
        """Cut out what has not been cut yet.

        Args:
            cuttings: Photos and boxes.
            workers: Threads; as many as the process has CPUs by default.
            progress: Told about every photo.

        Returns:
            For each photo the paths of its crops below ``root``, in the order of its boxes; ``None`` for a photo that
            cannot be decoded, or whose boxes were measured on a picture that stood upright another way.

        Raises:
            AnimalsError: The cache cannot be written.
        """

        def told(done: int) -> None:
            progress("cutting out animals", done, len(cuttings))

        work = partial(self._cut_each, limits=Limits.of_container())
        with closing(ordered_map(work, cuttings, threads=workers, progress=told)) as results:
            return list(results)

    def _cut_each(self, cuttings: Sequence[Cutting], limits: Limits) -> list[tuple[str, ...] | None]:
        return [self._cut_one(cutting, limits) for cutting in cuttings]

    def _cut_one(self, cutting: Cutting, limits: Limits) -> tuple[str, ...] | None:
        file = self.photos / cutting.photo
        try:
            names = self._names(cutting, file)
            missing = [(box, name) for box, name in zip(cutting.boxes, names, strict=True) if not self._has(name)]
            if missing:
                with opened(file, limits=limits) as photo:
                    if cutting.size and is_turned(cutting.size, photo.size):
                        return None
                    for box, name in missing:
                        self._write(photo, box, name)
        except (ImageError, FileNotFoundError):
            return None
        except OSError as error:
            raise cache_error(self.root, error) from error
        return names

    def _names(self, cutting: Cutting, file: Path) -> tuple[str, ...]:
        """A name says which box of which photo it is, and another file of that name has other crops."""
        status = file.stat()
        mark = hashlib.sha256(f"{_RULE} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:8]
        folder = PurePosixPath(cutting.photo)
        sides = ((box.x, box.y, box.width, box.height) for box in cutting.boxes)
        return tuple(str(folder / f"{'-'.join(f'{side:.4f}' for side in four)}.{mark}.png") for four in sides)

    def _has(self, name: str) -> bool:
        return (self.root / name).is_file()

    def _write(self, photo: Photo, box: Detection, name: str) -> None:
        square = photo.inside(square_crop(box, *photo.size)).upright().convert("RGB")
        if square.width > LARGEST:
            square = square.resize((LARGEST, LARGEST), Image.Resampling.BICUBIC)
        with atomic.new_file(self.root / name, existing="keep", durable=False) as temporary:
            square.save(temporary, format="PNG", compress_level=1)

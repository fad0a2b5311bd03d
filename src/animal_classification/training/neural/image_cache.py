"""Photos as uint8 arrays: decoded once into a memory-mapped file where they fit, else again for each batch.

``imaging.preprocess`` is the only way to pixels, so the network sees in training what it will see when it serves.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from animal_classification import imaging
from animal_classification.common.atomic import new_file
from animal_classification.common.progress import Progress
from animal_classification.data.cache_folder import cache_error, default_directory
from animal_classification.errors import AnimalsError, ImageError
from animal_classification.inference.stream import decoded_files
from animal_classification.training.neural.shard import Shard

if TYPE_CHECKING:
    from animal_classification.imaging import PreprocessSpec
    from animal_classification.training.dataset import DatasetSplit

_CACHE_FORMAT = 1  # raise it when preprocess gives other pixels


class Images(Protocol):
    """Photos of one split, by number."""

    def __len__(self) -> int: ...

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """``[N, size, size, 3]``."""
        ...


@dataclass(frozen=True)
class ImageSubset:
    """Some photos of a split.

    Attributes:
        pixels: Of all.
        places: Which of them, in this order.
    """

    pixels: Images
    places: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.places)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.pixels.take(self.places[indices])


@dataclass(frozen=True)
class ConcatImages:
    """Photos of one split after those of another."""

    first: Images
    second: Images

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        before = indices < len(self.first)
        parts = [self.first.take(indices[before]), self.second.take(indices[~before] - len(self.first))]
        order = np.concatenate([np.flatnonzero(before), np.flatnonzero(~before)])
        result = np.concatenate([part for part in parts if len(part)])
        result[order] = result.copy()
        return result


@dataclass(frozen=True)
class MemoryMappedImages:
    """Photos that lie decoded in a file.

    Attributes:
        array: uint8 ``[M, size, size, 3]``, memory-mapped.
        places: Where photo ``i`` lies in it.
    """

    array: NDArray[np.uint8]
    places: NDArray[np.int64]

    def __reduce__(self) -> tuple[object, ...]:
        """Another process maps the same file."""
        return _mapped, (str(getattr(self.array, "filename")), self.places)  # noqa: B009 - a memmap's

    def __len__(self) -> int:
        return len(self.places)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.asarray(self.array[self.places[indices]])


def _mapped(file: str, places: NDArray[np.int64]) -> MemoryMappedImages:
    try:
        return MemoryMappedImages(np.load(file, mmap_mode="r", allow_pickle=False), places)
    except (OSError, ValueError) as error:
        raise AnimalsError(
            f"{file!r} cannot be opened here ({error}): put data.cache on a disk that all machines see"
        ) from error


@dataclass(frozen=True)
class DecodedImages:
    """Photos that are decoded whenever they are wanted."""

    files: Sequence[Path]
    spec: PreprocessSpec
    workers: int
    limits: imaging.Limits = field(default_factory=imaging.Limits.of_container)

    def __len__(self) -> int:
        return len(self.files)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        files = [self.files[index] for index in indices]
        return np.stack(list(_decoded(files, self.spec, self.workers, limits=self.limits)))


def _decoded(
    files: Sequence[Path],
    spec: PreprocessSpec,
    workers: int,
    *,
    limits: imaging.Limits | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """The photos, in order.

    Raises:
        AnimalsError: One was usable when the run began, and is not any more.
    """
    for found in decoded_files(files, spec, limits=limits, threads=workers, progress=progress):
        if isinstance(found, ImageError):
            raise AnimalsError(f"{found}; it could be read when the run began: put it back and start again")
        yield found


def open_pixels(
    parts: Sequence[DatasetSplit],
    spec: PreprocessSpec,
    *,
    cache: Path | None,
    limit: int,
    decoding: Decoding,
) -> list[Images]:
    """The photos of each part.

    Args:
        parts: Splits of one data set.
        spec: How pixels reach the network.
        cache: The cache folder; ``None`` for the user's own.
        limit: Bytes that the decoded photos may take.
        decoding: Who decodes them, and who is told.

    Raises:
        AnimalsError: A photo is gone, or the cache cannot be written.
    """
    files = {row.sha256 or "": file for part in parts for row, file in zip(part.rows, part.files, strict=True)}
    shape = (len(files), spec.size, spec.size, 3)
    if not files or "" in files or int(np.prod(shape)) > limit:
        limits = imaging.Limits.of_container()
        return [DecodedImages(part.files, spec, decoding.workers, limits) for part in parts]
    hashes = sorted(files)
    path = (cache or default_directory()) / "pixels" / f"{_key(hashes, spec)}.npy"
    array = _open(path, shape)
    if array is None:
        _fill(path, [files[name] for name in hashes], spec, decoding)
        array = _open(path, shape)
    if array is None:
        raise AnimalsError(f"{str(path)!r}: the cache cannot be read back; delete the file and start again")
    number = {name: place for place, name in enumerate(hashes)}
    places = [np.array([number[row.sha256 or ""] for row in part.rows], dtype=np.int64) for part in parts]
    return [MemoryMappedImages(array, place) for place in places]


def _key(hashes: Sequence[str], spec: PreprocessSpec) -> str:
    text = "\n".join((f"{_CACHE_FORMAT} {spec!r}", *hashes))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _open(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    with contextlib.suppress(OSError, ValueError):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.shape == shape and array.dtype == np.uint8:
            result: NDArray[np.uint8] = array
            return result
    return None


@dataclass(frozen=True, kw_only=True)
class DecodeTask:
    """Photos that several processes decode into one file, each its part.

    Attributes:
        target: Of uint8 ``[len(files), size, size, 3]``, on a disk that all of them see.
        files: The photos, in the order of the rows.
        spec: How photos reach the network.
        workers: Threads of each process.
    """

    target: Path
    files: Sequence[Path]
    spec: PreprocessSpec
    workers: int

    def decode(self, shard: Shard, progress: Callable[[int], None] | None = None) -> None:
        """This process's part.

        Raises:
            AnimalsError: A photo is gone, or the file cannot be written from here.
        """
        rows = range(shard.rank, len(self.files), shard.world)
        own = [self.files[row] for row in rows]
        try:
            array = np.load(self.target, mmap_mode="r+", allow_pickle=False)
            for row, pixels in zip(rows, _decoded(own, self.spec, self.workers, progress=progress), strict=True):
                array[row] = pixels
            array.flush()
        except (OSError, ValueError) as error:
            raise AnimalsError(
                f"{str(self.target)!r} cannot be written here ({error}): put data.cache on a disk that all machines see"
            ) from error


ShareDecoding = Callable[[DecodeTask, Callable[[int], None]], None]
"""Has a task done by all processes, and tells how many photos are decoded; returns when the last is."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Who decodes.

    Attributes:
        workers: Threads of each process.
        progress: Told how many photos are decoded.
        share: Lets several processes decode; this one alone where there is none.
    """

    workers: int
    progress: Progress
    share: ShareDecoding | None = None


def _fill(path: Path, files: Sequence[Path], spec: PreprocessSpec, decoding: Decoding) -> None:
    """Write the file, whole or not at all."""
    shape = (len(files), spec.size, spec.size, 3)

    def told(done: int) -> None:
        decoding.progress("decoding photos", min(done, len(files)), len(files))

    try:
        with new_file(path) as temporary:
            if decoding.share is not None:
                np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape).flush()
                task = DecodeTask(target=temporary, files=files, spec=spec, workers=decoding.workers)
                decoding.share(task, told)
                return
            with temporary.open("wb") as out:
                np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})
                for pixels in _decoded(files, spec, decoding.workers, progress=told):
                    out.write(pixels.tobytes())
    except OSError as error:
        raise cache_error(path.parent, error) from error

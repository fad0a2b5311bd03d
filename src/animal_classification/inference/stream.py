"""The one loop from images to rows: decode, infer, in order, with flat memory.

Commands that send photos through a model, or only want their pixels, all come here. A box, a frame of a video or
another executor is added here once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from animal_classification import imaging
from animal_classification.common.parallel import Executor, ordered_map
from animal_classification.errors import ImageError
from animal_classification.imaging import ImageSource, Limits, PreprocessSpec
from animal_classification.imaging.geometry import Box

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Item:
    """One image to look at.

    Attributes:
        name: What the caller calls it.
        source: A path, encoded bytes, a PIL image, or pixels such as a frame of a video.
        box: The part to look at, in fractions of the upright image: left, top, right, bottom. All of it by default.
    """

    name: str
    source: ImageSource
    box: Box | None = None

    def ready(self) -> Self:
        """The same with its source at hand; called once, by the thread that decodes it.

        Raises:
            ImageError: It cannot be had.
        """
        return self


SomeItem = TypeVar("SomeItem", bound=Item)
Decoded = TypeVar("Decoded")
Row = TypeVar("Row")


@dataclass(frozen=True)
class Stream(Generic[SomeItem, Decoded, Row]):
    """What becomes of items: each is decoded by itself, and a few at a time become rows.

    Calling it with a chunk of items does both on this thread; that call is what an executor runs.

    Attributes:
        decode: Makes of an item what ``infer`` takes; raises ``ImageError`` where it cannot be used.
        infer: Takes what was decoded and returns as many rows. Called from several threads at once.
    """

    decode: Callable[[SomeItem], Decoded]
    infer: Callable[[Sequence[Decoded]], Sequence[Row]]

    def run(
        self,
        items: Iterable[SomeItem],
        *,
        threads: int | None = None,
        executor: Executor | None = None,
        progress: Callable[[int], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> Generator[tuple[SomeItem, Row | ImageError], None, None]:
        """Yield every item with its row, in order, or with the error that makes it unusable.

        Args:
            items: Any number of them; see :func:`~animal_classification.common.parallel.ordered_map` for the rest.
            threads: Chunks that are worked on at once; the processors that this process may use by default.
            executor: Runs chunks somewhere else than on threads of this process.
            progress: Told how many items are done, after each.
            stopped: Asked after each item; when it says yes, the stream ends.

        Raises:
            Exception: What ``infer`` raises.
        """
        return ordered_map(self, items, threads=threads, executor=executor, progress=progress, stopped=stopped)

    def __call__(self, chunk: Sequence[SomeItem]) -> list[tuple[SomeItem, Row | ImageError]]:
        """Do both for a few items, on this thread."""
        decoded = [self._decode(item) for item in chunk]
        usable = [one for one in decoded if not isinstance(one, ImageError)]
        rows = iter(self.infer(usable) if usable else ())
        return [
            (item, one if isinstance(one, ImageError) else next(rows)) for item, one in zip(chunk, decoded, strict=True)
        ]

    def _decode(self, item: SomeItem) -> Decoded | ImageError:
        try:
            return self.decode(item.ready())
        except ImageError as error:
            # As it was raised, it would keep every frame that it went through, with the pixels in them.
            return type(error)(error.reason, error.where)


def decode_square(item: Item, spec: PreprocessSpec, limits: Limits) -> Pixels:
    """The central square of an item, uint8 ``[size, size, 3]``, by ``imaging.preprocess``."""
    return imaging.preprocess(item.source, spec, limits=limits, box=item.box)


def decode_crops(item: Item, spec: PreprocessSpec, limits: Limits) -> Pixels:
    """All that a model looks at in an item, uint8 ``[crops, size, size, 3]``, by ``imaging.crops``."""
    return imaging.crops(item.source, spec, limits=limits, box=item.box)


def files_as_items(files: Iterable[str | os.PathLike[str]]) -> Iterable[Item]:
    """An item for each file, named by its path."""
    return (Item(os.fspath(file), file) for file in files)


def decoded_files(
    files: Iterable[str | os.PathLike[str]],
    spec: PreprocessSpec,
    *,
    limits: Limits | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Generator[Pixels | ImageError, None, None]:
    """Yield the central square of each file, uint8 ``[size, size, 3]``, in order; or why there is none.

    Args:
        files: Photos.
        spec: What the model wants to see.
        limits: Bounds on bytes, pixels and memory; the usual ones, with a share of the container's memory, by default.
        threads: As for :meth:`Stream.run`.
        progress: As for :meth:`Stream.run`.
    """
    decode = partial(decode_square, spec=spec, limits=limits or Limits.of_container())
    results = Stream(decode, list).run(files_as_items(files), threads=threads, progress=progress)
    try:
        for _, found in results:
            yield found
    finally:
        results.close()

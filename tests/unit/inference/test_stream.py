"""The one loop from images to rows."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from animal_classification import imaging
from animal_classification.errors import CorruptImageError, ImageError, ImageNotFoundError, UnsupportedImageError
from animal_classification.imaging import ImageSource, Limits, PreprocessSpec
from animal_classification.inference.stream import (
    Item,
    Stream,
    decode_crops,
    decode_square,
    decoded_files,
    files_as_items,
)

SPEC = PreprocessSpec(size=16, crop_pct=1.0)


def means(photos: Sequence[NDArray[np.uint8]]) -> list[float]:
    return [float(photo.mean()) for photo in photos]


def grey(level: int) -> NDArray[np.uint8]:
    return np.full((20, 20), level, np.uint8)


STREAM = Stream(partial(decode_square, spec=SPEC, limits=Limits()), means)


@given(st.lists(st.one_of(st.integers(0, 255), st.none()), max_size=120), st.integers(1, 3))
def test_every_item_has_a_row_or_an_error_in_order(levels: list[int | None], threads: int) -> None:
    items = [Item(str(at), b"no photo" if one is None else grey(one)) for at, one in enumerate(levels)]
    found = list(STREAM.run(items, threads=threads))
    assert [item for item, _ in found] == items
    assert [None if isinstance(row, ImageError) else row for _, row in found] == levels


def test_a_source_may_be_a_path_bytes_an_image_or_an_array(tmp_path: Path) -> None:
    picture = Image.fromarray(grey(77))
    file = tmp_path / "a.png"
    picture.save(file)
    sources: list[ImageSource] = [file, str(file), file.read_bytes(), picture, grey(77)]
    assert [row for _, row in STREAM.run(Item("x", source) for source in sources)] == [77.0] * 5


def test_errors_say_what_and_where_and_hold_no_pixels(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    pixels: list[weakref.ref[NDArray[np.uint8]]] = []

    def decode(item: Item) -> NDArray[np.uint8]:
        large = grey(1)
        pixels.append(weakref.ref(large))
        return decode_square(item, SPEC, Limits())

    files = [tmp_path / "text.jpg", tmp_path / "gone.jpg"]
    (_, text), (_, gone) = Stream(decode, means).run(files_as_items(files))
    assert isinstance(text, UnsupportedImageError)
    assert text.reason == "is text, not a photo"
    assert text.where == str(files[0])
    assert isinstance(gone, ImageNotFoundError)
    gc.collect()
    assert [one() for one in pixels] == [None, None]
    assert text.__traceback__ is None


def test_other_errors_end_the_stream() -> None:
    def fail(photos: Sequence[NDArray[np.uint8]]) -> list[float]:
        raise RuntimeError("no engine")

    with pytest.raises(RuntimeError, match="no engine"):
        list(Stream(STREAM.decode, fail).run([Item("a", grey(1))]))


def test_a_chunk_without_a_usable_item_asks_the_engine_nothing() -> None:
    def fail(photos: Sequence[NDArray[np.uint8]]) -> list[float]:
        raise AssertionError

    ((_, error),) = Stream(STREAM.decode, fail).run([Item("a", b"\xff\xd8\xff")])
    assert isinstance(error, CorruptImageError)


def test_it_can_be_stopped_and_tells_how_far_it_is() -> None:
    told: list[int] = []
    items = (Item(str(at), grey(at)) for at in range(100))
    found = list(STREAM.run(items, progress=told.append, stopped=lambda: len(told) == 7))
    assert len(found) == 7
    assert told == list(range(1, 8))


def test_what_an_executor_is_given_can_be_sent_elsewhere() -> None:
    chunk = [Item("a", grey(3)), Item("b", b"x")]
    work, sent = pickle.loads(pickle.dumps((STREAM, chunk)))
    (_, row), (_, error) = work(sent)
    assert row == 3.0
    assert isinstance(pickle.loads(pickle.dumps(error)), ImageError)


def halves() -> NDArray[np.uint8]:
    """Black on the left, white on the right."""
    return np.repeat(np.array([[0, 255]], np.uint8), 50, axis=1).repeat(100, axis=0)


def test_a_box_is_cut_out_before_anything_else() -> None:
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    rows = [row for _, row in STREAM.run([Item("a", halves(), left), Item("a", halves(), right)])]
    assert rows == [0.0, 255.0]  # nothing of the other half, as the reach of the filter would bring in


def test_a_wide_box_has_three_crops() -> None:
    wide = Item("a", halves(), (0.0, 0.0, 1.0, 0.25))
    ((_, crops),) = Stream(partial(decode_crops, spec=SPEC, limits=Limits()), list).run([wide])
    assert not isinstance(crops, ImageError)
    assert np.array_equal(crops, imaging.crops(halves()[:25], SPEC))
    assert len(crops) == 3


def test_files_become_pixels_or_errors(tmp_path: Path) -> None:
    Image.fromarray(grey(9)).save(tmp_path / "a.png")
    told: list[int] = []
    files = [tmp_path / "a.png", tmp_path / "gone.png"]
    good, gone = decoded_files(files, SPEC, threads=1, progress=told.append)
    assert isinstance(good, np.ndarray)
    assert good.shape == (16, 16, 3)
    assert isinstance(gone, ImageNotFoundError)
    assert told == [1, 2]

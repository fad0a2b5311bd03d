"""Decoding takes no more memory than is claimed for it, and all threads together no more than there is."""

from __future__ import annotations

import contextlib
import gc
import json
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from animal_classification.errors import CorruptImageError, ImageError, ImageMemoryError, UsageError
from animal_classification.imaging import (
    DecodingMemory,
    Limits,
    PreprocessSpec,
    decode,
    pixel_formats,
    preprocess,
    thumbnail,
)
from animal_classification.imaging.downscale import resize
from animal_classification.imaging.memory_budget import MIB, RESERVED, SMALLEST, share_for_decoding
from animal_classification.imaging.pixel_formats import Flat
from tests.support.bombs import bombs
from tests.unit.imaging.drawing import encode, scene, textured

PEAKS = Path(__file__).parents[2] / "support" / "decoding_peaks.py"
TOLERANCE = 1.03
SLACK = 3_000_000  # bytes: blocks of the allocator
# What is claimed for the worst that the format allows, and the files here are not: no 12 bits, film grain or grids, and
# no frame of a GIF that is smaller than its canvas.
FAR_FROM_THE_WORST = {"avif", "avif, alpha", "heic, alpha", "png, animated", "gif", "gif, transparent"}


def peaks(folder: Path, side: int, use: str) -> dict[str, dict[str, int]]:
    for name, draw in bombs(side).items():
        (folder / name).write_bytes(draw())
    files = sorted(folder.iterdir())
    words = [sys.executable, str(PEAKS), use, *map(str, files)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=1500)
    found = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert len(found) == len(files)
    assert {line["problem"] for line in found.values()} == {None}
    return found


# Where all of a picture is wanted, room for a turned copy of it is claimed, too, and these files stand upright.
TURNED = {"model": 0, "whole": 4}  # bytes a pixel


def check(found: dict[str, dict[str, int]], turned: int) -> None:
    beyond = {name: line for name, line in found.items() if line["peak"] > TOLERANCE * line["claimed"] + SLACK}
    assert not beyond, beyond
    wasteful = {
        name: line
        for name, line in found.items()
        if name not in FAR_FROM_THE_WORST and line["claimed"] - turned > 1.5 * line["peak"] + 18_000_000
    }
    assert not wasteful, wasteful


linux = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")


@pytest.mark.slow
@linux
@pytest.mark.parametrize("use", ["model", "whole"])
def test_no_format_takes_more_than_is_claimed(tmp_path: Path, use: str) -> None:
    check(peaks(tmp_path, 2000, use), TURNED[use] * 2000**2)


@linux
@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # while they are drawn
@pytest.mark.parametrize("use", ["model", "whole"])
@pytest.mark.parametrize("side", [5000, 10_000])
def test_no_format_takes_more_than_is_claimed_when_it_is_large(tmp_path: Path, side: int, use: str) -> None:
    check(peaks(tmp_path, side, use), TURNED[use] * side**2)


def test_one_that_takes_more_than_there_is_fails_alone_and_says_so() -> None:
    memory = DecodingMemory(20 * MIB)
    limits = Limits(memory=memory)
    large = encode(Image.new("RGBA", (2000, 2000), (1, 2, 3, 4)), "WEBP", lossless=True, method=0)
    spec = PreprocessSpec()
    for read in (partial(decode, limits=limits), partial(preprocess, spec=spec, limits=limits)):
        with pytest.raises(ImageMemoryError) as caught:
            read(large)
        said = r"bytes: takes up to \d+ MB to decode \(2000 x 2000 pixels of WebP\); 21 MB may be used: make it smaller"
        assert re.match(said, str(caught.value))
        assert read(encode(scene(), "WEBP")).size
    assert memory.held == 0


def test_a_photo_in_memory_already_is_not_counted() -> None:
    limits = Limits(memory=DecodingMemory(1))
    assert decode(scene(), limits=limits).shape == (48, 64, 3)
    assert decode(Image.fromarray(scene()), limits=limits).shape == (48, 64, 3)


def test_memory_comes_back_whatever_happens() -> None:
    memory = DecodingMemory(200 * MIB)
    limits = Limits(memory=memory)
    whole = {name: draw() for name, draw in bombs(300).items()}
    for data in whole.values():
        preprocess(data, PreprocessSpec(), limits=limits)
        assert memory.held == 0
        for share in (0.3, 0.6, 0.95):
            with contextlib.suppress(ImageError):
                decode(data[: int(len(data) * share)], limits=limits)
            assert memory.held == 0


@pytest.mark.slow
def test_an_error_does_not_keep_the_pixels_that_were_decoded() -> None:
    data = encode(textured(1234, 777), "PNG")
    with pytest.raises(CorruptImageError) as caught:
        decode(data[: len(data) // 2], limits=Limits(memory=DecodingMemory(200 * MIB)))
    kept = [one for one in gc.get_objects() if isinstance(one, Image.Image) and one.size == (1234, 777)]
    assert caught.value.reason  # which is still there, with its traceback
    assert not kept


def test_turns_are_taken_in_order_and_small_ones_do_not_pass() -> None:
    memory, done = DecodingMemory(100), []
    first = memory.claim(60, "")
    first.__enter__()

    def take(name: str, amount: int) -> None:
        with memory.claim(amount, ""):
            done.append(name)

    threads = []
    for name, amount in (("large", 90), ("small", 10), ("smaller", 1)):
        threads.append(threading.Thread(target=take, args=(name, amount)))
        threads[-1].start()
        wait_until(lambda: len(memory._line) == len(threads))
    assert done == []
    first.__exit__(None, None, None)
    for thread in threads:
        thread.join(10)
    assert done[0] == "large"
    assert memory.held == 0


def test_patience_ends_with_a_reason_and_the_line_goes_on() -> None:
    memory = DecodingMemory(100, patience=0.05)
    with memory.claim(80, ""), pytest.raises(ImageMemoryError, match=r"waited 0 s .* send it again later"):
        memory._take(30)
    with memory.claim(100, ""):
        assert memory.held == 100


@pytest.mark.parametrize("limit", [0, -1])
def test_there_must_be_some(limit: int) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        DecodingMemory(limit)


def test_many_threads_never_hold_more_than_there_is() -> None:
    memory, most, lock = DecodingMemory(1000), [0], threading.Lock()
    held = [0]

    def work(amount: int) -> None:
        with memory.claim(amount, ""):
            with lock:
                held[0] += amount
                most[0] = max(most[0], held[0])
            time.sleep(0)
            with lock:
                held[0] -= amount

    amounts = np.random.default_rng(3).integers(1, 1001, 3000).tolist()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, amounts))
    assert 500 < most[0] <= 1000
    assert memory.held == 0


def test_a_share_of_the_container() -> None:
    assert share_for_decoding(2048 * MIB) == 832 * MIB
    assert share_for_decoding(None) == share_for_decoding(4096 * MIB)
    assert share_for_decoding(100 * MIB) == SMALLEST
    for memory in range(600 * MIB, 1 << 36, 1 << 33):
        assert RESERVED + share_for_decoding(memory) <= memory
    assert DecodingMemory.of_container().limit >= SMALLEST


MODES = st.sampled_from(["RGBA", "LA", "P", "1", "L", "RGB", "CMYK", "I;16", "I", "F", "YCbCr", "La", "RGBa"])


def drawn(mode: str, width: int, height: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        return Image.fromarray((rng.random((height, width)) * 70_000).astype(kind))
    image = Image.fromarray(rng.integers(0, 256, (height, width, 4), np.uint8))
    if mode in ("La", "RGBa"):
        return image.convert(mode.upper()).convert(mode)
    return image.convert("RGB").convert(mode) if mode not in ("RGBA", "LA") else image.convert(mode)


@settings(max_examples=150, deadline=None)
@given(
    mode=MODES,
    sides=st.tuples(st.integers(1, 90), st.integers(1, 400)),
    part=st.tuples(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.tuples(*[st.floats(0, 0.4)] * 4)),
    resample=st.sampled_from([Image.Resampling[name] for name in ("NEAREST", "BILINEAR", "BICUBIC", "LANCZOS")]),
    band=st.integers(1, 4000),
    seed=st.integers(0, 9),
)
def test_bands_give_the_pixels_of_the_whole(
    mode: str,
    sides: tuple[int, int],
    part: tuple[tuple[int, int], tuple[float, ...]],
    resample: Image.Resampling,
    band: int,
    seed: int,
) -> None:
    (width, height), (size, corner) = sides, part
    image = drawn(mode, width, height, seed)
    box = (corner[0] * width, corner[1] * height, width - corner[2] * width, height - corner[3] * height)
    expected = Flat(image).whole().resize(size, resample, box=box)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("pixel_formats", "downscale"):
            patch.setattr(f"animal_classification.imaging.{module}.BAND", band)
        found = resize(Flat(image), size, box, resample)
        assert found.mode == expected.mode
        assert np.array_equal(np.asarray(found), np.asarray(expected))
        assert np.array_equal(np.asarray(Flat(image).whole()), np.asarray(expected_whole(image)))


def expected_whole(image: Image.Image) -> Image.Image:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixel_formats, "BAND", 1 << 30)
        return Flat(image).whole()


@pytest.mark.parametrize("name", ["png, alpha", "jpeg", "gif, transparent", "webp", "tiff, floats"])
def test_a_thumbnail_is_upright_and_as_large_as_asked_for(name: str) -> None:
    small = thumbnail(bombs(700)[name](), 300)
    assert (small.size, small.mode) == ((300, 300), "RGB")


def test_thumbnails_keep_proportions_and_are_never_enlarged() -> None:
    assert thumbnail(scene(64, 48), 32).size == (32, 24)
    assert thumbnail(scene(64, 48), 500).size == (64, 48)
    assert thumbnail(scene(500, 1), 100).size == (100, 1)
    near = np.asarray(thumbnail(textured(800, 600), 200), dtype=float)
    far = np.asarray(Image.fromarray(textured(800, 600)).resize((200, 150), Image.Resampling.BICUBIC), dtype=float)
    assert np.abs(near - far).mean() < 0.01


def wait_until(ready: object, seconds: float = 10) -> None:
    assert callable(ready)
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.001)

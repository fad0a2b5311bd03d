"""The scan: what it says of a file, what it remembers, and fingerprints."""

from __future__ import annotations

import io
import os
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from animal_classification.data import perceptual_hash, scanner
from animal_classification.data.duplicates import UnionFind
from animal_classification.data.embedding_cache import Embedder, embed
from animal_classification.data.manifest import Manifest
from animal_classification.data.perceptual_hash import NEAR, fingerprint, near_sets
from animal_classification.data.scanner import scan
from animal_classification.data.sources import SourceOptions, read_source
from animal_classification.imaging import Limits, PreprocessSpec, preprocess
from animal_classification.imaging.bounded_read import read_photo
from tests.unit.data.drawing import draw, draw_classes, picture


def print_of(image: Image.Image) -> bytes:
    found = fingerprint(np.asarray(image.convert("RGB")))
    assert found is not None
    return found


def jpeg(image: Image.Image) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=30)
    return Image.open(data)


@pytest.mark.parametrize(
    "change",
    [
        jpeg,
        ImageOps.mirror,
        ImageOps.grayscale,
        lambda image: image.resize((60, 60)),
        lambda image: image.resize((300, 200)),
        lambda image: ImageEnhance.Brightness(image).enhance(1.2),
        lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_copies_have_near_fingerprints(change: Callable[[Image.Image], Image.Image], seed: int) -> None:
    prints = [print_of(picture(seed)), print_of(change(picture(seed)))]
    assert near_sets(prints).tolist() == [0, 0]


def test_different_pictures_have_not() -> None:
    assert near_sets([print_of(picture(seed)) for seed in range(200)]).tolist() == list(range(200))


def test_pictures_of_one_colour_have_none() -> None:
    assert fingerprint(np.full((50, 50, 3), 77, np.uint8)) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=32, max_size=32), max_size=12), st.integers(0, 255), st.integers(1, 40))
def test_near_sets_are_the_connected_parts_of_a_plain_count(prints: list[bytes], limit: int, block: int) -> None:
    prints = [print_[:31] + bytes([print_[31] & 0xFE]) for print_ in prints]  # the last bit is not used
    mirror = np.array([1 if (index + 1) % 16 % 2 else 0 for index in range(255)] + [0], np.uint8)
    bits = [np.unpackbits(np.frombuffer(print_, np.uint8)) for print_ in prints]
    joined = UnionFind(len(bits))
    for i in range(len(bits)):
        for j in range(i + 1, len(bits)):
            if min((bits[i] != bits[j]).sum(), ((bits[i] ^ mirror) != bits[j]).sum()) <= limit:
                joined.join(i, j)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perceptual_hash, "_BLOCK", block)
        assert near_sets(prints, limit=limit).tolist() == [joined.find(index) for index in range(len(bits))]
    assert 0 < NEAR < 80


def test_frames_of_a_still_camera_take_no_memory_for_their_pairs() -> None:
    still = np.random.default_rng(0).integers(0, 256, 32, dtype=np.uint8)
    flips = np.random.default_rng(1).integers(0, 248, (6000, 4))
    prints = []
    for bits in flips:
        print_ = still.copy()
        print_[bits // 8] ^= (1 << (bits % 8)).astype(np.uint8)
        prints.append(print_.tobytes())
    tracemalloc.start()
    try:
        sets = near_sets(prints)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (sets == 0).all()
    assert most < 20e6  # 18 million pairs of three numbers would be more than a gigabyte


def test_the_second_scan_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(draw_classes(tmp_path / "photos", {"cat": 3, "dog": 2}).glob("*/*"))
    first = scan(files, cache=tmp_path / "cache")
    opened: list[Path] = []

    def noting(file: Path, limits: Limits) -> bytes:
        opened.append(file)
        return read_photo(file, limits)

    monkeypatch.setattr(scanner, "read_photo", noting)
    assert scan(files, cache=tmp_path / "cache") == first
    assert not opened
    draw(files[1], 99)
    os.utime(files[1], ns=(1, 1))
    changed = scan(files, cache=tmp_path / "cache")
    assert opened == [files[1]]
    assert changed[1] != first[1]
    assert changed[2:] == first[2:]


def test_embeddings_are_of_the_same_look_and_found_again(tmp_path: Path) -> None:
    files = sorted(draw_classes(tmp_path / "photos", {"cat": 9, "dog": 4}).glob("*/*"))
    files[3].write_bytes(b"no photo")
    spec, seen = PreprocessSpec(size=16), []

    def infer(pixels: np.ndarray) -> np.ndarray:
        seen.append(len(pixels))
        return np.asarray(pixels.mean(axis=(1, 2), dtype=np.float32))

    for _ in range(2):
        embedder = Embedder(infer, spec, model="mean", cache=tmp_path / "cache")
        scan(files, cache=tmp_path / "cache", embedder=embedder)
        embedder.close()
        assert sum(seen) == 12
    manifest = read_source(tmp_path / "photos", SourceOptions(cache=tmp_path / "cache"))
    vectors = embed(manifest, lambda _: pytest.fail("all are known"), model="mean", cache=tmp_path / "cache")
    assert np.isnan(vectors[3]).all()
    for index in (0, 12):
        assert np.allclose(vectors[index], preprocess(manifest.file(manifest.rows[index]), spec).mean(axis=(0, 1)))


def test_a_cache_that_cannot_be_used_is_done_without(tmp_path: Path) -> None:
    files = [draw(tmp_path / "a.png", 1)]
    (tmp_path / "file").write_text("")
    assert scan(files, cache=tmp_path / "file")[0].problem is None
    first = scan(files, cache=tmp_path / "cache")
    database = next((tmp_path / "cache").glob("scan-*.sqlite"))
    database.write_bytes(b"no database" * 100)
    assert scan(files, cache=tmp_path / "cache") == first


def test_trouble_is_a_problem_of_one_file(tmp_path: Path) -> None:
    good, text, empty = draw(tmp_path / "a.png", 1), tmp_path / "b.jpg", tmp_path / "c.jpg"
    text.write_text("hello")
    empty.touch()
    told: list[tuple[str, int, int]] = []
    facts = scan([good, text, tmp_path / "gone.png", empty], cache=tmp_path / "c", progress=lambda *n: told.append(n))
    assert [fact.problem for fact in facts] == [
        None,
        "is text, not a photo",
        "is not there (moved, renamed or deleted?)",
        "is empty (0 bytes)",
    ]
    assert told[-1] == ("looking at photos", 4, 4)
    assert facts[0].format == "PNG"


def test_embeddings_are_computed_once_for_each_content(tmp_path: Path) -> None:
    folder = draw_classes(tmp_path / "photos", {"cat": 2, "dog": 2})
    (folder / "dog" / "1.png").write_text("broken")
    (folder / "dog" / "copy.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    manifest: Manifest = read_source(folder, SourceOptions(cache=tmp_path / "cache"))
    asked: list[Path] = []

    def compute(files: object) -> list[np.ndarray]:
        assert isinstance(files, list)
        asked.extend(files)
        return [np.full(4, len(asked), np.float32) for _ in files]

    first = embed(manifest, compute, model="m", cache=tmp_path / "cache")
    assert first.shape == (5, 4)
    assert len(asked) == 3
    assert np.isnan(first[3]).all()
    np.testing.assert_array_equal(first[0], first[4])
    np.testing.assert_array_equal(embed(manifest, compute, model="m", cache=tmp_path / "cache"), first)
    assert len(asked) == 3
    embed(manifest, compute, model="another", cache=tmp_path / "cache")
    assert len(asked) == 6


@pytest.mark.parametrize(("size", "crop"), [(128, 1.0), (96, 0.9), (224, 0.875), (320, 1.0)])
def test_pixels_for_embeddings_are_those_that_the_model_will_be_served(tmp_path: Path, size: int, crop: float) -> None:
    """A large JPEG is decoded at a smaller scale for a small model, in training as in serving."""
    file = draw(tmp_path / "large.jpg", 3, (1500, 1100))
    spec = PreprocessSpec(size=size, crop_pct=crop, interpolation="bicubic")
    seen: list[NDArray[np.uint8]] = []

    def infer(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.extend(pixels)
        return np.zeros((len(pixels), 2), dtype=np.float32)

    with closing(Embedder(infer, spec, model="m", cache=tmp_path / "cache")) as embedder:
        (facts,) = scan([file], cache=tmp_path / "cache", embedder=embedder)
    assert np.array_equal(seen[0], preprocess(file, spec))
    assert facts.fingerprint == scan([file], cache=tmp_path / "other")[0].fingerprint or size > 256

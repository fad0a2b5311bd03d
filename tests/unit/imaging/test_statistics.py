"""The twelve numbers: each moves most when a photo is changed in the way that it is for."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from animal_classification.imaging.corruptions import CORRUPTIONS
from animal_classification.imaging.statistics import NAMES, photo_statistics

Pixels = NDArray[np.uint8]
# The spread of each number over photos of animals: what a move is measured in.
SPREAD = np.array([41.0, 20.0, 0.11, 0.13, 0.17, 26.0, 0.72, 1.1, 0.22, 0.75, 35.0, 0.11])


def photo(seed: int, size: int = 224) -> Pixels:
    """Clouds of colour whose amplitude falls with frequency as it does in photos."""
    generator = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    frequency[0, 0] = 1.0
    planes = []
    for _ in range(4):
        waves = np.fft.fft2(generator.normal(size=(size, size))) / frequency**1.2
        waves[0, 0] = 0.0
        plane = np.fft.ifft2(waves).real
        planes.append(plane / plane.std())
    grey, *colours = planes
    pixels = np.stack([115 + 50 * (0.85 * grey + 0.5 * colour) for colour in colours], axis=2)
    result: Pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    return result


def moved(change: str, seed: int) -> dict[str, float]:
    before, after = photo_statistics(photo(seed)), photo_statistics(CORRUPTIONS[change].apply(photo(seed)))
    return dict(zip(NAMES, ((after - before) / SPREAD).tolist(), strict=True))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("dark", ("brightness", "contrast")),
        ("bright", ("bright", "brightness")),
        ("night", ("saturation", "noise")),
        ("strong-blur", ("sharpness",)),
        ("noise", ("noise", "sharpness")),
    ],
)
def test_a_change_moves_its_own_number_most(change: str, names: tuple[str, ...]) -> None:
    for seed in range(3):
        shifts = moved(change, seed)
        assert max(shifts, key=lambda name: abs(shifts[name])) in names, (change, shifts)


@pytest.mark.parametrize(
    ("change", "name", "least"),
    [
        ("very-dark", "dark", 1.0),
        ("very-dark", "brightness", -1.5),
        ("fog", "contrast", -1.0),
        ("fog", "saturation", -0.5),
        ("lens", "contrast", -0.3),
        ("jpeg10", "noise", -0.1),
        ("bright", "bright", 0.5),
        ("night", "saturation", -1.0),
        ("night", "vignette", -0.3),
    ],
)
def test_a_change_moves_a_number_in_its_direction(change: str, name: str, least: float) -> None:
    for seed in range(3):
        shift = moved(change, seed)[name]
        assert shift * np.sign(least) >= abs(least), (change, name, shift)


def test_a_quarter_turn_exchanges_the_edges() -> None:
    across = np.repeat(np.where(np.arange(224) // 8 % 2, 40, 200).astype(np.uint8)[None, :, None], 224, axis=0)
    striped = np.repeat(across, 3, axis=2)
    upright, turned = (photo_statistics(one) for one in (striped, CORRUPTIONS["sideways"].apply(striped)))
    edges = NAMES.index("edges")
    assert upright[edges] > 1
    assert turned[edges] == pytest.approx(-upright[edges], abs=1e-4)
    rest = [NAMES.index(name) for name in NAMES if name != "edges"]
    assert turned[rest] == pytest.approx(upright[rest], abs=0.05)


def test_plain_photos_have_the_numbers_that_they_should() -> None:
    grey = dict(zip(NAMES, photo_statistics(np.full((224, 224, 3), 128, np.uint8)).tolist(), strict=True))
    assert grey["brightness"] == 128
    assert grey["contrast"] == grey["saturation"] == grey["cast"] == grey["entropy"] == grey["dark"] == 0
    red = np.zeros((224, 224, 3), np.uint8)
    red[..., 0] = 200
    numbers = dict(zip(NAMES, photo_statistics(red).tolist(), strict=True))
    assert (numbers["saturation"], numbers["cast"], numbers["brightness"]) == (1, 200, (77 * 200) >> 8)
    framed = np.full((224, 224, 3), 200, np.uint8)
    framed[40:-40, 40:-40] = 20
    assert photo_statistics(framed)[NAMES.index("vignette")] > 100


@hypothesis.settings(max_examples=30)
@given(st.tuples(st.integers(8, 40), st.integers(8, 300)).flatmap(lambda shape: arrays(np.uint8, (*shape, 3))))
def test_any_photo_has_twelve_finite_numbers(pixels: Pixels) -> None:
    numbers = photo_statistics(pixels)
    assert numbers.shape == (12,)
    assert np.isfinite(numbers).all()
    assert np.isfinite(numbers.astype(np.float16)).all()  # as bundles and logs keep them


def test_the_noise_is_the_median_of_all_responses() -> None:
    pixels = photo(1)
    green = pixels[48:176, 48:176, 1].astype(int)
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    windows = np.lib.stride_tricks.sliding_window_view(green, (3, 3))
    responses = np.sort(np.abs((windows * mask).sum(axis=(2, 3))).ravel())
    middle = responses[(len(responses) - 1) // 2]
    assert photo_statistics(pixels)[NAMES.index("noise")] == pytest.approx(np.log(middle + 0.1), abs=1e-5)

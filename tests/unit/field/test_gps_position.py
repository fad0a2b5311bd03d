"""Which positions in EXIF are places."""

from __future__ import annotations

import pytest

from animal_classification.field.exif_block import read_exif
from animal_classification.field.gps_position import gps_position, shared_positions
from tests.support.trail_photos import jpeg


def position(north: str, latitude: tuple[float, ...], east: str, longitude: tuple[float, ...]) -> object:
    return gps_position(read_exif(jpeg(gps={1: north, 2: latitude, 3: east, 4: longitude})))


def test_south_and_west_are_negative() -> None:
    assert position("S", (41.0, 18.0, 45.28), "W", (174.0, 43.0, 6.68)) == (-41.312578, -174.718522)


@pytest.mark.parametrize(
    "wrong",
    [
        ("N", (0.0, 0.0, 0.0), "E", (0.0, 0.0, 0.0)),
        ("\0", (10.0, 0.0, 0.0), "\0", (20.0, 0.0, 0.0)),
        ("N", (91.0, 0.0, 0.0), "E", (20.0, 0.0, 0.0)),
        ("N", (90.0, 0.0, 1.0), "E", (20.0, 0.0, 0.0)),
        ("N", (41.0, 60.0, 0.0), "E", (20.0, 0.0, 0.0)),
        ("N", (41.0, 0.0, 60.0), "E", (20.0, 0.0, 0.0)),
        ("N", (41.0, 0.0, 0.0), "E", (180.5, 0.0, 0.0)),
        ("N", (41.0, 0.0), "E", (20.0, 0.0)),
        ("E", (41.0, 0.0, 0.0), "N", (20.0, 0.0, 0.0)),
    ],
)
def test_what_is_no_place(wrong: tuple[str, tuple[float, ...], str, tuple[float, ...]]) -> None:
    assert position(*wrong) is None


def test_on_the_equator_is_a_place() -> None:
    assert position("N", (0.0, 0.0, 0.0), "E", (36.0, 30.0, 0.0)) == (0.0, 36.5)


def test_a_position_of_two_deployments_is_a_constant_of_the_camera() -> None:
    here, there = (1.0, 2.0), (3.0, 4.0)
    found = [("A", here), ("A", here), ("B", here), ("B", there), ("B", there)]
    assert shared_positions(found) == {here}

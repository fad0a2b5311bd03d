"""Where a photo says it was taken, if that can be a place.

Cameras without a receiver write 0, 0 into every photo, or a constant without references (SY 4.0CG-R: 1° 1' 21").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from animal_classification.field.exif_block import (
    LATITUDE,
    LATITUDE_REFERENCE,
    LONGITUDE,
    LONGITUDE_REFERENCE,
    ExifBlock,
)

Position = tuple[float, float]
"""Latitude and longitude in degrees, to 6 digits (a tenth of a metre)."""


def gps_position(exif: ExifBlock) -> Position | None:
    """The position in a photo's EXIF.

    None where a reference is missing, at exactly 0, 0, out of range, or with 60 and more minutes or seconds.
    """
    latitude = _degrees(exif.gps_numbers(LATITUDE), exif.gps_text(LATITUDE_REFERENCE), "NS", 90)
    longitude = _degrees(exif.gps_numbers(LONGITUDE), exif.gps_text(LONGITUDE_REFERENCE), "EW", 180)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None
    return latitude, longitude


def _degrees(numbers: tuple[float, ...], reference: str, sides: str, limit: int) -> float | None:
    side = reference.upper()
    if len(numbers) != 3 or len(side) != 1 or side not in sides:
        return None
    degrees, minutes, seconds = numbers
    if not (degrees >= 0 and 0 <= minutes < 60 and 0 <= seconds < 60):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    return round(-value if side == sides[1] else value, 6) if value <= limit else None


def shared_positions(found: Iterable[tuple[str, Position]]) -> frozenset[Position]:
    """Positions that stand in photos of more than one deployment: a constant of the camera, not a place.

    Args:
        found: The deployment and the position of each photo that has one.
    """
    deployments: dict[Position, set[str]] = defaultdict(set)
    for deployment, position in found:
        known = deployments[position]
        if len(known) < 2:
            known.add(deployment)
    return frozenset(position for position, known in deployments.items() if len(known) > 1)

"""Values of a document that somebody else wrote: nothing about their types is believed."""

from __future__ import annotations

import math
from typing import Any

from animal_classification.errors import UsageError

Object = dict[str, Any]


def as_text(value: object) -> str:
    """A text or number as text; empty for anything else."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return str(value)
        except ValueError:  # a whole number of thousands of digits
            return ""
    return ""


def as_number(value: object) -> float | None:
    """A finite number, also one in a text; ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_frame(value: object) -> int | None:
    """The number of a frame, from 0; ``None`` for anything else."""
    number = as_number(value)
    return int(number) if number is not None and number >= 0 and number.is_integer() else None


def as_size(width: object, height: object) -> tuple[int, int] | None:
    """Width and height in pixels, where both are such numbers."""
    wide, high = as_number(width), as_number(height)
    return (int(wide), int(high)) if wide and high and wide >= 1 and high >= 1 else None


def as_object(value: object) -> Object:
    """An object, empty for anything else: ``info`` is ``{}``, ``null`` or missing in real files."""
    return value if isinstance(value, dict) else {}


def objects(value: object, what: str) -> list[Object]:
    """A list of objects.

    Args:
        value: What should be one; ``None`` is an empty list.
        what: Its name for the message, such as ``"images"``.

    Raises:
        UsageError: It is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise UsageError(f"{what} is no list")
    for position, item in enumerate(value):
        if not isinstance(item, dict):
            raise UsageError(f"{what}[{position}] is no object")
    return value


def numbers(value: object, count: int) -> tuple[float, ...] | None:
    """So many finite numbers; ``None`` where they are fewer, more, or something else."""
    if not isinstance(value, list) or len(value) != count:
        return None
    found = tuple(number for item in value if (number := as_number(item)) is not None)
    return found if len(found) == count else None

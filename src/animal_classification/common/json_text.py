"""JSON from people and other programs: whatever is wrong with it is a ``ValueError``."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Read a JSON document; NaN is let through as a number.

    Raises:
        ValueError: It is none, or brackets in it are nested by the thousand.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error

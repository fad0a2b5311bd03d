"""A box around something in a picture, whoever found it: a detector of ours or a file of another program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# The class that pictures without anything make, where a model is taught one.
BLANK = "blank"
Category = Literal["animal", "person", "vehicle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One box.

    Attributes:
        category: What was found.
        confidence: The detector's own score, 0 to 1.
        x: Left edge, as a fraction of the upright picture's width.
        y: Upper edge, as a fraction of its height.
        width: As a fraction of the picture's width; above 0.
        height: As a fraction of its height; above 0.
        frame: The frame of a video, from 0; ``None`` for a photo.
        label: The name that a file gives to what is in the box; empty where it gives none.
        label_probability: The file's probability of that name, if it says one.
    """

    category: Category
    confidence: float
    x: float
    y: float
    width: float
    height: float
    frame: int | None = None
    label: str = ""
    label_probability: float | None = None

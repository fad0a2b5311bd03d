"""What a photo must satisfy before decoding, and what a model wants to see."""

from __future__ import annotations

from dataclasses import dataclass, field

from animal_classification.errors import UsageError
from animal_classification.imaging.memory_budget import DecodingMemory

INTERPOLATIONS = ("bicubic", "bilinear", "lanczos", "nearest")
MAX_SIZE = 8192


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeBound:
    """What a caller spends on one photo: memory, and time, of which the pixels tell most.

    Attributes:
        max_bytes: That decoding it takes.
        max_pixels: That are decoded; of a JPEG at reduced scale, those of that scale.
    """

    max_bytes: int
    max_pixels: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds that are checked before any pixel is decoded.

    Attributes:
        max_bytes: Largest encoded photo, in bytes.
        max_pixels: Largest width times height that the header may declare.
        memory: What all photos that are decoded at once share; ``None`` for no bound. Photos that are arrays or PIL
            images are in memory already, and are not counted.
        light: What decoding one photo may cost here; a heavier one is refused before anything is allocated.
    """

    max_bytes: int = 128 * 1024 * 1024
    max_pixels: int = 100_000_000
    memory: DecodingMemory | None = field(default=None, compare=False)
    light: DecodeBound | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_pixels"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 1")

    @classmethod
    def of_container(cls) -> Limits:
        """The usual bounds, and a budget of the container's memory: one for each process, or stage of a run."""
        return cls(memory=DecodingMemory.of_container())


@dataclass(frozen=True, kw_only=True, slots=True)
class PreprocessSpec:
    """How a photo becomes a model's input; stored in the bundle, with timm's names and meanings.

    The shorter side is resized to ``floor(size / crop_pct)`` and the central ``size`` x ``size`` square is kept.

    Attributes:
        size: Height and width of the model's input, in pixels, 1 to 8192.
        crop_pct: Side of the central crop as a fraction of the resized shorter side, in (0, 1].
        interpolation: ``bicubic``, ``bilinear``, ``lanczos`` or ``nearest``.

    Raises:
        UsageError: A value outside of what is written above.
    """

    size: int = 224
    crop_pct: float = 0.875
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MAX_SIZE:
            raise UsageError(f"size is {self.size}; it must be 1 to {MAX_SIZE} pixels")
        if not 0 < self.crop_pct <= 1 or self.resize_to > MAX_SIZE:
            raise UsageError(
                f"crop_pct is {self.crop_pct}; it must be above 0, at most 1, and size / crop_pct at most {MAX_SIZE}"
            )
        if self.interpolation not in INTERPOLATIONS:
            raise UsageError(f"interpolation is {self.interpolation!r}; it must be one of {', '.join(INTERPOLATIONS)}")

    @property
    def resize_to(self) -> int:
        """Length of the shorter side after resizing, in pixels."""
        return int(self.size / self.crop_pct)

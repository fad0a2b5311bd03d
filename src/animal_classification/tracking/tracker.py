"""The interface of all trackers, and the names that every recipe uses.

train/loss  train/accuracy  val/loss  val/accuracy  images_per_second     by step: the number of the epoch, from 1
lr                                                                        the same; not of ``probe``, which has none
test/accuracy  test/answered_right  test/top5  test/recall/<class>        once, at the last step
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Tracker(Protocol):
    """Takes what a run has to say. A tracker that fails complains once and is silent from then on."""

    def log_config(self, config: Mapping[str, object]) -> None:
        """The resolved configuration, flat: ``recipe.lr`` to its value."""
        ...

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Numbers by name. The same step may come again after a resume, with the same values."""
        ...

    def log_image(self, name: str, png: bytes, *, step: int) -> None:
        """A picture, such as ``test/confusion`` or ``test/examples``."""
        ...

    def log_bundle(self, bundle: Path) -> None:
        """The finished model."""
        ...

    def close(self, *, failed: bool) -> None:
        """The end of the run, for good or bad."""
        ...


class NoTracker:
    """Listens to nobody."""

    def log_config(self, config: Mapping[str, object]) -> None: ...

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None: ...

    def log_image(self, name: str, png: bytes, *, step: int) -> None: ...

    def log_bundle(self, bundle: Path) -> None: ...

    def close(self, *, failed: bool) -> None: ...

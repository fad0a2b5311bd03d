"""One tracker in front of all: those that the configuration names, and the listeners of whoever started the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animal_classification.tracking.tracker import Tracker


class CompositeTracker:
    """Hands on everything, in order. What a listener raises passes through: that is how a sweep ends a bad trial."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)

    def log_config(self, config: Mapping[str, object]) -> None:
        for tracker in self._trackers:
            tracker.log_config(config)

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        for tracker in self._trackers:
            tracker.log_metrics(values, step=step)

    def log_image(self, name: str, png: bytes, *, step: int) -> None:
        for tracker in self._trackers:
            tracker.log_image(name, png, step=step)

    def log_bundle(self, bundle: Path) -> None:
        for tracker in self._trackers:
            tracker.log_bundle(bundle)

    def close(self, *, failed: bool) -> None:
        for tracker in self._trackers:
            tracker.close(failed=failed)


def flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested keys joined by dots: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``."""
    result: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result

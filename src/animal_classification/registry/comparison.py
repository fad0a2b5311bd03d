"""Two models side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification import bundle as bundles
from animal_classification.errors import UsageError
from animal_classification.registry.model_version import PREFIX, PRODUCTION, Version, measured, parse_reference
from animal_classification.registry.registration import described
from animal_classification.registry.resolver import find, local_bundle
from animal_classification.registry.store import Registry

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle

_RECALL = "recall/"


@dataclass(frozen=True, kw_only=True)
class ComparedVersion:
    """One of the two.

    Attributes:
        model: As it is called.
        version: The registry's number, or the bundle's own word where it is not registered.
        created: When the bundle was made.
        bytes: Its size.
        classes: How many labels it knows.
        sha256: The bundle's identity.
        data_version: Of all its photos.
        test_version: Of the photos that it was tested on.
        metrics: Flat, by name, without the recalls.
        recall: By class.
    """

    model: str
    version: str
    created: datetime
    bytes: int
    classes: int
    sha256: str
    data_version: str
    test_version: str
    metrics: Mapping[str, float] = field(repr=False)
    recall: Mapping[str, float] = field(repr=False)

    def as_object(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {**asdict(self), "created": self.created.isoformat(timespec="seconds")}


@dataclass(frozen=True)
class VersionComparison:
    """Two models; numbers can be held against each other only where both were tested on the same photos."""

    a: ComparedVersion
    b: ComparedVersion

    @property
    def same_test(self) -> bool:
        """Whether both were tested on the same photos."""
        return bool(self.a.test_version) and self.a.test_version == self.b.test_version

    @property
    def metrics(self) -> dict[str, tuple[float, float]]:
        """What both have, by name."""
        return {name: (value, self.b.metrics[name]) for name, value in self.a.metrics.items() if name in self.b.metrics}

    @property
    def recall(self) -> dict[str, tuple[float, float]]:
        """Recalls of the classes that both have, those that changed most first."""
        both = {name: (value, self.b.recall[name]) for name, value in self.a.recall.items() if name in self.b.recall}
        return dict(sorted(both.items(), key=lambda item: (-abs(item[1][1] - item[1][0]), item[0])))

    def as_object(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {
            "a": self.a.as_object(),
            "b": self.b.as_object(),
            "same_test": self.same_test,
            "metrics": {name: {"a": a, "b": b, "difference": b - a} for name, (a, b) in self.metrics.items()},
            "recall": {name: {"a": a, "b": b, "difference": b - a} for name, (a, b) in self.recall.items()},
        }


def compare(a: str, b: str, *, uri: str | None = None) -> VersionComparison:
    """Put two models side by side.

    Args:
        a: A registered version (``zoo@production``, ``zoo/3``, ``zoo`` for the one in production), or a bundle.
        b: The same.
        uri: MLflow's tracking URI; by default ``ANIMALS_TRACKING_URI``, else the SQLite file in ``runs``.

    Raises:
        BundleError: One is missing, damaged, or not what was registered.
        RegistryError: The registry cannot be reached.
    """
    return VersionComparison(_side(a, uri), _side(b, uri))


def _side(text: str, uri: str | None) -> ComparedVersion:
    if _names_a_bundle(text):
        bundle = bundles.load(text)
        return _of(described(bundle, bundle.info.name), bundle, model=text, number=bundle.info.version)
    registry = Registry.open(uri)
    version = find(registry, text, alias=PRODUCTION)
    return _of(version, local_bundle(registry, version), model=version.label, number=str(version.version))


def _names_a_bundle(text: str) -> bool:
    """Whether a word is a place or a built-in name rather than a registered model."""
    if text.startswith(PREFIX):
        return False
    if text in bundles.builtin_names() or "://" in text or Path(text).expanduser().exists():
        return True
    try:
        parse_reference(text)
    except UsageError:
        return True  # bundle.load says what is wrong with it
    return False


def _of(version: Version, bundle: Bundle, *, model: str, number: str) -> ComparedVersion:
    metrics = measured(bundle.info.metrics, version.metrics)
    recall = {name.removeprefix(_RECALL): value for name, value in metrics.items() if name.startswith(_RECALL)}
    return ComparedVersion(
        model=model,
        version=number,
        created=bundle.info.created,
        bytes=version.bytes,
        classes=len(bundle.info.labels),
        sha256=bundle.sha256,
        data_version=bundle.info.data.version,
        test_version=version.test_version,
        metrics={name: value for name, value in metrics.items() if not name.startswith(_RECALL)},
        recall=recall,
    )

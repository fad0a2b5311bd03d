"""A registered model as a value, and the words that name one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

PREFIX = "models:/"
PRODUCTION = "production"
CANDIDATE = "candidate"
_TAG = "animals."
_REFERENCE = re.compile(r"(?P<name>[^/@:]+)(?:@(?P<alias>[\w-]+)|/(?P<version>[0-9]+))?")


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a registered model; what it points to never changes.

    Attributes:
        name: The model's.
        version: From 1.
        aliases: Such as ``production`` and ``candidate``.
        accuracy: On its test split; ``None`` where it was not measured.
        data_version: Of all photos that it learned from and was tested on.
        test_version: Of the photos that it was tested on: accuracies compare only where these are equal.
        sha256: The bundle's identity.
        bytes: The bundle's size.
        created: When it was registered.
        run_id: MLflow's, of the run that made it.
        source: Where MLflow keeps the bundle.
        metrics: All that was measured, flat, by name.
    """

    name: str
    version: int
    aliases: tuple[str, ...] = ()
    accuracy: float | None
    data_version: str
    test_version: str
    sha256: str
    bytes: int
    created: datetime
    run_id: str | None
    source: str
    metrics: Mapping[str, float] = field(default_factory=dict, repr=False)

    @property
    def answered_right(self) -> float | None:
        """Share of the test photos of which people are told what they show; ``None`` where it was not measured."""
        return self.metrics.get("answered_right")

    @property
    def label(self) -> str:
        """As people write it: ``zoo/3``."""
        return f"{self.name}/{self.version}"

    def as_object(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {
            **asdict(self),
            "answered_right": self.answered_right,
            "aliases": list(self.aliases),
            "created": self.created.isoformat(timespec="seconds"),
        }


@dataclass(frozen=True)
class ModelReference:
    """A name with an alias, a version number, or neither."""

    name: str
    alias: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        if self.alias is not None:
            return f"{self.name}@{self.alias}"
        return self.name if self.version is None else f"{self.name}/{self.version}"


def parse_reference(text: str) -> ModelReference:
    """Read ``models:/zoo@production``, ``models:/zoo/3`` or the same without ``models:/``.

    Raises:
        UsageError: It is none of these.
    """
    found = _REFERENCE.fullmatch(text.removeprefix(PREFIX))
    if found is None:
        raise UsageError(f"{text!r} is not a registered model; write models:/NAME@ALIAS or models:/NAME/VERSION")
    return ModelReference(found["name"], found["alias"], int(found["version"]) if found["version"] else None)


def registered_name(text: str) -> str | None:
    """The ``models:/…`` that a person means, or ``None`` for a model that is no registered one.

    The prefix may be left out before an alias, since no built-in name has an ``@``. A file of that name comes first.

    >>> registered_name("zoo@production")
    'models:/zoo@production'
    >>> registered_name("photos") is None
    True
    """
    if text.startswith("models:"):
        return text
    found = _REFERENCE.fullmatch(text)
    if found is None or found["alias"] is None or Path(text).exists():
        return None
    return f"{PREFIX}{text}"


def tags_of(version: Version) -> dict[str, str]:
    """What MLflow keeps beside a version."""
    tags = {
        "sha256": version.sha256,
        "bytes": str(version.bytes),
        "data_version": version.data_version,
        "test_version": version.test_version,
        "metrics": json.dumps(dict(version.metrics), sort_keys=True),
    }
    if version.accuracy is not None:
        tags["accuracy"] = repr(version.accuracy)
    return {_TAG + key: value for key, value in tags.items()}


def from_mlflow(entity: ModelVersion, aliases: tuple[str, ...]) -> Version:
    """What MLflow keeps, as a value; a version that somebody else registered lacks most of it."""
    tags = {key.removeprefix(_TAG): value for key, value in entity.tags.items() if key.startswith(_TAG)}
    return Version(
        name=entity.name,
        version=int(entity.version),
        aliases=aliases,
        accuracy=float(tags["accuracy"]) if "accuracy" in tags else None,
        data_version=tags.get("data_version", ""),
        test_version=tags.get("test_version", ""),
        sha256=tags.get("sha256", ""),
        bytes=int(tags.get("bytes", 0)),
        created=datetime.fromtimestamp(entity.creation_timestamp / 1000, UTC),
        run_id=entity.run_id or None,
        source=entity.source or "",
        metrics=json.loads(tags.get("metrics", "{}")),
    )


def flat_metrics(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a nested mapping, with ``/`` between the levels."""
    return dict(_flat(metrics, prefix))


def _flat(metrics: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{prefix}{key}", float(value)


def measured(*metrics: Mapping[str, Any]) -> dict[str, float]:
    """All numbers under the names of ``bundle.json``: what a tracker calls ``test/accuracy`` is ``accuracy`` there."""
    merged: dict[str, float] = {}
    for part in metrics:
        merged |= {name.removeprefix("test/"): value for name, value in flat_metrics(part).items()}
    return merged

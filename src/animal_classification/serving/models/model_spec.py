"""What an operator writes for a model, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass

from animal_classification.errors import UsageError
from animal_classification.registry.model_version import parse_reference, registered_name
from animal_classification.settings import Settings

BY_TAG = "tag"  # in place of a share: the registry has it
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)=(?P<model>.+)")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model to serve.

    Attributes:
        model: A built-in name, a bundle's folder, an fsspec URL, or a name of the registry.
        name: Under which it answers; ``None`` for the name in its bundle.
    """

    model: str
    name: str | None = None

    @property
    def alias(self) -> str | None:
        """``zoo@production``, where it is an alias of the registry.

        Raises:
            UsageError: It starts like a registered model, and is no valid name of one.
        """
        if not self.registered:
            return None
        reference = parse_reference(self.model)
        return None if reference.alias is None else str(reference)

    @property
    def registered(self) -> bool:
        """It is in the registry."""
        return self.model.startswith("models:")


@dataclass(frozen=True, slots=True)
class TrafficShare:
    """A canary or a shadow: a model that gets a share of another one's requests.

    Attributes:
        source: The model.
        beside: Name of the other one; ``None`` for the first.
        share: Of the requests, in (0, 1]; ``None`` where the registry says it with a tag of the version.
    """

    source: ModelSource
    beside: str | None
    share: float | None


def parse_source(text: str) -> ModelSource:
    """Read ``MODEL`` or ``NAME=MODEL``.

    >>> parse_source("zoo=zoo@production")
    ModelSource(model='models:/zoo@production', name='zoo')
    """
    return _source(*_parts(text))


def _parts(text: str) -> tuple[str, str | None]:
    found = _NAMED.fullmatch(text)
    return (found["model"], found["name"]) if found else (text, None)


def _source(model: str, name: str | None) -> ModelSource:
    return ModelSource(registered_name(model) or model, name)


def parse_traffic_share(text: str, option: str) -> TrafficShare:
    """Read ``NAME=MODEL@SHARE``. Without a name it stands beside the first model; without a share it gets all requests.

    >>> parse_traffic_share("zoo=models:/zoo@candidate@0.1", "canary").share
    0.1

    A canary by an alias of the registry may have its share there, too, so that it changes while the server runs:

    >>> parse_traffic_share("zoo=models:/zoo@canary@tag", "canary").share is None
    True

    Raises:
        UsageError: The share is not above 0 and at most 1, or a tag is named where there is none.
    """
    whole, beside = _parts(text)
    model, _, last = whole.rpartition("@")
    if model and last == BY_TAG:
        source = _source(model, None)
        if option != "canary" or source.alias is None:
            raise UsageError(
                f"{option} {text!r}: only a canary by an alias has its share as a tag, as models:/NAME@canary@tag"
            )
        return TrafficShare(source, beside, None)
    share = _number(last) if model else None
    if share is None:
        return TrafficShare(_source(whole, None), beside, 1.0)
    if not 0 < share <= 1:
        raise UsageError(f"{option} {text!r}: the share must be above 0 and at most 1, as in NAME=MODEL@0.1")
    return TrafficShare(_source(model, None), beside, share)


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """All that a server is to serve: models, the default one first, and their canaries and shadows."""

    models: tuple[ModelSource, ...]
    canaries: tuple[TrafficShare, ...]
    shadows: tuple[TrafficShare, ...]

    @classmethod
    def of(cls, settings: Settings) -> ServingPlan:
        """What the settings say.

        Raises:
            UsageError: They name no model, or a share that cannot be.
        """
        if not settings.model:
            raise UsageError("no model is named: give --model a built-in name, a folder, a URL or models:/NAME@ALIAS")
        return cls(
            tuple(parse_source(text) for text in settings.model),
            tuple(parse_traffic_share(text, "canary") for text in settings.canary),
            tuple(parse_traffic_share(text, "shadow") for text in settings.shadow),
        )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

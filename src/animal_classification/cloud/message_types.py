"""Documents as messages of Google's client libraries: each kind has a message type."""

# Imported where they are used: Google's client libraries are an extra.

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from animal_classification.cloud import rest_resources
from animal_classification.cloud.documents import Document
from animal_classification.errors import AnimalsError, MissingExtraError

TYPES = {
    "run-service": "google.cloud.run_v2:Service",
    "run-job": "google.cloud.run_v2:Job",
    "vertex-job": "google.cloud.aiplatform_v1:CustomJob",
    "vertex-study": "google.cloud.aiplatform_v1:HyperparameterTuningJob",
    "repository": "google.cloud.artifactregistry_v1:Repository",
    "build-trigger": "google.cloud.devtools.cloudbuild_v1:BuildTrigger",
    "alert-policy": "google.cloud.monitoring_v3:AlertPolicy",
    "service-account": "google.cloud.iam_admin_v1:ServiceAccount",
}
_POLICY = "google.iam.v1.policy_pb2:Policy"


def find(place: str) -> Any:
    """Import ``package:Name`` of Google's.

    Raises:
        MissingExtraError: The package is not installed.
    """
    module, _, name = place.partition(":")
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise MissingExtraError("animals deploy apply", "gcp") from error


def message(document: Document) -> Any:
    """A document as the message that is sent.

    Raises:
        AnimalsError: The type has no such field, or a field has another type.
        MissingExtraError: Google's client libraries are not installed.
    """
    if document.kind in rest_resources.KINDS:
        return rest_resources.checked(document)
    kind = find(TYPES.get(document.kind, _POLICY))
    from google.protobuf.json_format import ParseDict, ParseError  # type: ignore[import-untyped]

    try:
        if hasattr(kind, "from_json"):
            return kind.from_json(json.dumps(document.body))
        return ParseDict(document.body, kind())
    except ParseError as error:
        raise AnimalsError(f"{document.file}: {' '.join(str(error).split())}") from error


def as_dict(value: Any) -> dict[str, Any]:
    """A message in the names and forms of JSON."""
    if isinstance(value, dict):
        return value
    from google.protobuf.json_format import MessageToDict

    found: dict[str, Any] = MessageToDict(value._pb if hasattr(value, "_pb") else value)
    return found


# Lists whose elements have names: ours are changed, and others that stand beside them stay.
_NAMED = {"containers": "name", "volumes": "name", "conditions": "displayName"}
# How the names of those begin that our earlier settings may have put there: they go when nobody asks for them.
_OURS = ("collector", "secret-")
# Messages of which only one of several fields may be set: they are taken as they are wanted, or left.
_WHOLE = {"startupProbe", "livenessProbe"}


def merged(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What is there with what is wanted put in: fields that nobody of us speaks of stay as they are.

    Lists are ours as wholes, but for those of named elements (containers, volumes, conditions of an alert); an element
    that already says what is wanted stays with all that the service has filled in.
    """
    return {**found, **{key: _value(key, found.get(key), value) for key, value in wanted.items()}}


def _value(key: str, found: Any, wanted: Any) -> Any:
    if found is None or restricted(found, wanted) == wanted:
        return wanted if found is None else found
    if isinstance(found, dict) and isinstance(wanted, dict) and key not in _WHOLE:
        return merged(found, wanted)
    if isinstance(found, list) and isinstance(wanted, list):
        return _named(found, wanted, _NAMED[key]) if key in _NAMED else _listed(found, wanted)
    return wanted


def _listed(found: list[Any], wanted: list[Any]) -> list[Any]:
    known = (next((one for one in found if restricted(one, new) == new), new) for new in wanted)
    return list(known)


def _named(found: list[Any], wanted: list[Any], name: str) -> list[Any]:
    known = {one.get(name): one for one in found}
    new = {one[name] for one in wanted}
    ours = [_value("", known.get(one[name]), one) for one in wanted]
    others = (one for one in found if one.get(name) not in new)
    return [*ours, *(one for one in others if not str(one.get(name)).startswith(_OURS))]


def restricted(found: Any, wanted: Any) -> Any:
    """Of what a service knows only what is asked of it: it fills in much by itself."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return {key: restricted(found[key], value) for key, value in wanted.items() if key in found}
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        return [restricted(one, other) for one, other in zip(found, wanted, strict=True)]
    return found

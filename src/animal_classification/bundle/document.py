"""``bundle.json``: parsed, upgraded to the current schema, validated, and written; errors are one line each.

Bundles outlive the code that wrote them: older documents are upgraded, newer ones refused. When ``SCHEMA_VERSION``
grows from n to n + 1, add a step under n that turns such a document into the next version's.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from animal_classification.bundle.schema import SCHEMA_VERSION, BundleInfo
from animal_classification.errors import BundleError, BundleInvalidError, BundleVersionError
from animal_classification.install_hint import pip_install

Document = dict[str, Any]
Steps = Mapping[int, Callable[[Document], Document]]

STEPS: dict[int, Callable[[Document], Document]] = {}


def upgrade(document: Document, steps: Steps | None = None) -> Document:
    """Brings a ``bundle.json`` document to the current schema version.

    Args:
        document: The parsed document; left as it is.
        steps: From a version to the function that makes the next version's document.

    Returns:
        A document whose ``schema_version`` is the current one.

    Raises:
        BundleVersionError: A newer version of this package wrote it.
        BundleInvalidError: It states no version, or one that has no step.
    """
    steps = STEPS if steps is None else steps
    version = document.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise BundleInvalidError(f"schema_version: a whole number up to {SCHEMA_VERSION} is needed (got {version!r})")
    if version > SCHEMA_VERSION:
        raise BundleVersionError(
            f"schema_version {version} is newer than this package reads ({SCHEMA_VERSION}); upgrade it: {pip_install()}"
        )
    document = dict(document)
    for old in range(version, SCHEMA_VERSION):
        if old not in steps:
            raise BundleInvalidError(f"schema_version {version} cannot be read any more; export the model again")
        document = {**steps[old](document), "schema_version": old + 1}
    return document


def parse_info(data: bytes, where: str, steps: Steps | None = None) -> BundleInfo:
    """Reads ``bundle.json``, bringing an older one up to date.

    Args:
        data: The file's content.
        where: The file's name, for messages.
        steps: See :func:`animal_classification.bundle.upgrade`.

    Raises:
        BundleInvalidError: Not JSON, or not as the schema says; names the key and what is allowed.
        BundleVersionError: Written by a newer version of this package.
    """
    try:
        document = json.loads(data, parse_constant=_refuse_constant)
        json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair would fail later, when printed
    except (ValueError, RecursionError) as error:
        raise BundleInvalidError(f"{where}: not readable as JSON ({error}); copy or export the bundle again") from error
    if not isinstance(document, dict):
        raise BundleInvalidError(f"{where}: an object {{…}} is needed (got {reprlib.repr(document)})")
    try:
        document = upgrade(document, steps)
    except BundleError as error:
        raise type(error)(f"{where}: {error}") from error
    return validated(document, where)


def validated(document: Mapping[str, Any], where: str) -> BundleInfo:
    """The document as typed objects; what pydantic has against it becomes one line that starts with ``where``."""
    try:
        return BundleInfo.model_validate(document)
    except ValidationError as error:
        raise BundleInvalidError(f"{where}: {_one_line(error)}") from error


def to_bytes(info: BundleInfo, where: str) -> bytes:
    """The content of ``bundle.json``: indented, so that people can read it and compare two of them."""
    try:
        text = json.dumps(info.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()
    except ValueError as error:  # pydantic's serialisation error is one too
        raise BundleInvalidError(f"{where}: config and metrics may hold plain JSON values only ({error})") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _one_line(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    first = problems[0]
    key = ".".join(_plain(str(part)) for part in first["loc"] if part != "[key]")
    if first["type"] == "missing":
        text = "this key is missing"
    elif first["type"] == "extra_forbidden":
        text = f"no such key; allowed are {', '.join(_allowed_keys(first['loc'][:-1]))}"
    elif first["type"] == "value_error":
        text = str(first["ctx"]["error"])
    else:
        text = f"{first['msg']} (got {reprlib.repr(first['input'])})"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{key}: {text}{more}" if key else f"{text}{more}"


def _plain(part: str) -> str:
    return part if part.isprintable() else repr(part)


def _allowed_keys(location: Sequence[int | str]) -> list[str]:
    model: type[BaseModel] = BundleInfo
    for part in location:
        if isinstance(part, str):
            model = _model_inside(model.model_fields[part].annotation) or model
    return sorted(model.model_fields)


def _model_inside(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_inside(part) for part in get_args(annotation))
    return next((model for model in found if model), None)

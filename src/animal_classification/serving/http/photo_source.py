"""Which camera or site photos are from: what the request says, else the name of its API key."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from animal_classification.serving.http.problem_details import ProblemError
from animal_classification.serving.http.schemas import MAX_SOURCE, PRINTABLE
from animal_classification.serving.middleware.auth import key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Scope

    from animal_classification.serving.http.uploads import UploadedPhoto

SOURCE_HEADER = "X-Animals-Source"
_PRINTABLE = re.compile(PRINTABLE)


def source_of(scope: Scope) -> str:
    """What the header says, else the API key's name, else nothing.

    Raises:
        ProblemError: 422 where the header is longer than 80 characters, or has control characters.
    """
    text = Headers(scope=scope).get(SOURCE_HEADER, "").strip()
    if not text:
        key = key_of(scope)
        return key.name[:MAX_SOURCE] if key else ""
    with suppress(UnicodeDecodeError):  # HTTP itself knows no other letters
        text = text.encode("latin-1").decode("utf-8")
    if len(text) > MAX_SOURCE or not _PRINTABLE.match(text):
        detail = f"{SOURCE_HEADER} is the name of a camera or a site: at most {MAX_SOURCE} characters that can be read"
        raise ProblemError(422, detail, kind="invalid-source")
    return text


def from_source(photos: Sequence[UploadedPhoto], source: str) -> list[UploadedPhoto]:
    """The same photos, with where they are from."""
    return [replace(photo, source=source) for photo in photos] if source else list(photos)

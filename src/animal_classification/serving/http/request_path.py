"""The path of a request, below the prefix under which a proxy shows this server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Scope

# A dollar in a pattern also matches before a final newline, so "/v1/review%0A" would be "/v1/review" to a router. The
# two separators at the end are lines' ends to some readers of Unicode.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# The same for the description of the API, as JSON Schema has it.
WITHOUT_CONTROL = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$"


def path_below_root(scope: Scope) -> str:
    """The path without the server's prefix; it begins with a slash."""
    path: str = scope["path"]
    root = scope.get("root_path", "")
    below = path.removeprefix(root)
    return below if path.startswith(root) and below.startswith("/") else path


def has_control_characters(scope: Scope) -> bool:
    """Whether the path, decoded, holds characters that nobody types."""
    return _CONTROL.search(scope["path"]) is not None


def describe_paths(document: dict[str, Any]) -> None:
    """Say in an OpenAPI document what a path may hold, and how one is refused that holds something else."""
    for operations in document["paths"].values():
        for operation in operations.values():
            within = [item["schema"] for item in operation.get("parameters", ()) if item["in"] == "path"]
            for schema in (kind for whole in within for kind in (whole, *whole.get("anyOf", ()))):
                if schema.get("type") == "string":
                    schema.setdefault("pattern", WITHOUT_CONTROL)
            responses = operation["responses"]
            if within and "404" in responses:
                responses.setdefault("400", {**responses["404"], "description": "Bad Request"})


def speaks_open_inference(path: str) -> bool:
    """Whether a path, below the prefix, is one of the Open Inference Protocol, which has its own form of errors."""
    return f"{path}/".startswith("/v2/")

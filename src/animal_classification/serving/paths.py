"""The path of a request, below the prefix under which a proxy shows this server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

# A dollar in a pattern also matches before a final newline, so "/v1/review%0A" would be "/v1/review" to a router. The
# two separators at the end are lines' ends to some readers of Unicode.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def path_below_root(scope: Scope) -> str:
    """The path without the server's prefix; it begins with a slash."""
    path: str = scope["path"]
    root = scope.get("root_path", "")
    below = path.removeprefix(root)
    return below if path.startswith(root) and below.startswith("/") else path


def has_control_characters(scope: Scope) -> bool:
    """Whether the path, decoded, holds characters that nobody types."""
    return _CONTROL.search(scope["path"]) is not None


def speaks_open_inference(path: str) -> bool:
    """Whether a path, below the prefix, is one of the Open Inference Protocol, which has its own form of errors."""
    return f"{path}/".startswith("/v2/")

"""Every route of the real application, as requests that somebody hostile may begin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from animal_classification.serving import create_app
from animal_classification.settings import Settings

VALUES = {"name": "tiny", "version": "1", "number": "1"}
NOBODYS = ("/nowhere", "/v1/nothing", "/v2/nothing", "/gradio_api/queue/join")


def routes(log_folder: Path) -> list[tuple[str, str]]:
    """Method and path of all routes, the hidden ones and some that there are not; each also with PUT."""
    app = create_app(None, Settings(prediction_log=True, log_folder=str(log_folder)))
    found = {("GET", "/"), ("POST", "/"), *((method, path) for path in NOBODYS for method in ("GET", "POST"))}
    for route in _flat(app.routes):
        path = re.sub(r"\{(\w+)(:\w+)?\}", lambda match: VALUES.get(match[1], "x"), route.path)
        for method in (getattr(route, "methods", None) or {"GET"}) | {"PUT"}:
            found.add((method, path))
    app.state.predictions.close()
    return sorted(found)


def _flat(found: Iterable[Any]) -> Iterator[Any]:
    for route in found:
        inner = getattr(route, "original_router", None)  # how newer versions of FastAPI keep a router that is included
        if inner is None:
            yield route
        else:
            yield from _flat(inner.routes)

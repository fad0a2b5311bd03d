"""The API's reference at ``/docs``: Swagger UI from this machine, because FastAPI's own page loads it from a CDN."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from animal_classification.serving.middleware.route_scopes import OPEN, ScopedMount, requires
from animal_classification.serving.ui.pages import plain_page

if TYPE_CHECKING:
    from fastapi import FastAPI

ASSETS = ("fastapi_swagger", "resources")


def install(app: FastAPI) -> None:
    """Serve ``/openapi.json`` and ``/docs``, which without the package that holds Swagger UI says how to read it."""
    bundled = find_spec(ASSETS[0]) is not None
    written: list[bytes] = []  # once: it is 100 kB, and anybody may ask for it

    # FastAPI's own route for it would not be authorized.
    @app.get("/openapi.json", include_in_schema=False)
    @requires(OPEN)
    async def description() -> Response:
        if not written:
            written.append(json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
        return Response(written[0], media_type="application/json")

    @app.get("/docs", include_in_schema=False)
    @requires(OPEN)
    async def docs() -> HTMLResponse:
        if not bundled:
            return plain_page(
                "The API",
                "Its description for programs is at <a href='openapi.json'>openapi.json</a>. "
                "To read it here: <code>pip install fastapi-swagger</code>",
            )
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title="animals: API",
            swagger_js_url="docs/assets/swagger-ui-bundle.js",
            swagger_css_url="docs/assets/swagger-ui.css",
            swagger_favicon_url="docs/assets/favicon-32x32.png",
            # Otherwise Swagger UI sends the description to validator.swagger.io to draw a badge.
            swagger_ui_parameters={"validatorUrl": None},
        )
        # Without it a screen reader reads the page in its owner's language.
        return HTMLResponse(bytes(page.body).replace(b"<html>", b'<html lang="en">', 1))

    if bundled:
        assets = StaticFiles(packages=[ASSETS])
        app.router.routes.append(ScopedMount("/docs/assets", assets, "docs-assets", required=OPEN))

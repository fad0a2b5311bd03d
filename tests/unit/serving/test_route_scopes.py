"""Every route, asked by everybody in every spelling, answers what the tables of docs/serve.md say."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from starlette.routing import Route

from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.serving.middleware.api_keys import SCOPES, new_key, write_keys
from animal_classification.serving.middleware.route_scopes import (
    HEALTH,
    OPEN,
    ScopedMount,
    ScopedRoute,
    required_scope_of,
    requires,
)
from animal_classification.settings import Settings
from tests.unit.serving.conftest import assert_problem

DOCS = Path(__file__).resolve().parents[3] / "docs" / "serve.md"
# Where no predictions are kept, everything below the routes of the review says so.
WITHOUT_LOG = {"/v1/feedback/{rest:path}": "feedback", "/v1/review/{rest:path}": "feedback"}
ONLY_WITH_LOG = {
    "/v1/feedback/{number}",
    "/v1/review/events",
    "/v1/review/labels",
    "/v1/review/reviewed.csv",
    "/v1/review/{prediction}/photo",
    "/review",
    "/monitor",
}
EXAMPLES = {"name": "tiny", "version": "1", "number": "1", "prediction": "x", "path": "swagger-ui.css", "rest": "x"}
SUFFIXES = ("", "/", "%0A", "%0D", "%00", "%7F", "%C2%85", "//", ";x", "/.", "%20", "upper")
OTHER_METHOD = "PATCH"
REFUSED = {400, 401, 403}


def documented() -> dict[str, str]:
    """Scope by path, or by method and path where they differ, as the table says."""
    section = DOCS.read_text(encoding="utf-8").split("\n## Who may ask\n")[1].split("\n## ")[0]
    words = {"none, any host": HEALTH, "none": OPEN, **{f"`{scope}`": scope for scope in SCOPES}}
    found: dict[str, str] = {}
    for first, second in re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE):
        if first in words:
            found |= dict.fromkeys(re.findall(r"`((?:[A-Z]+ )?/[^`]*)`", second), words[first])
    return found


def entry_of(table: dict[str, str], methods: Iterable[str], path: str) -> str:
    """Under which words of the table a route stands."""
    return next((words for method in sorted(methods) if (words := f"{method} {path}") in table), path)


@dataclass
class Door:
    """A server with a key for each scope, and its routes: path, methods and documented scope, in order."""

    app: FastAPI
    keys: dict[str, str | None]
    routes: list[tuple[str, set[str], str]]
    runner: asyncio.Runner

    def ask(self, method: str, raw: str, key: str | None) -> tuple[int, int]:
        """The status of an answer, and how often the body was asked for."""
        return self.runner.run(_ask(self.app, method, raw, key))


async def _ask(app: FastAPI, method: str, raw: str, key: str | None) -> tuple[int, int]:
    status = reads = 0

    async def receive() -> dict[str, Any]:
        nonlocal reads
        reads += 1
        if reads > 1:
            await asyncio.Event().wait()  # the client stays
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": unquote(raw),  # as uvicorn does
        "raw_path": raw.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
        "headers": headers + ([(b"x-api-key", key.encode())] if key else []),
    }
    await app(scope, receive, send)  # type: ignore[arg-type]
    return status, reads


@pytest.fixture(params=[True, False], ids=["log", "no-log"])
def door(request: pytest.FixtureRequest, tmp_path: Path, classifier: Classifier) -> Iterator[Door]:
    made = {scope: new_key(scope, (scope,)) for scope in SCOPES}
    write_keys(tmp_path / "keys.json", [key for _, key in made.values()])
    texts: dict[str, str | None] = {scope: text for scope, (text, _) in made.items()}
    settings = Settings(
        keys_file=str(tmp_path / "keys.json"), prediction_log=request.param, log_folder=str(tmp_path / "log")
    )
    app = create_app(classifier, settings)
    with TestClient(app), asyncio.Runner() as runner:
        yield Door(app, texts | {"none": None, "wrong": new_key("x", ("admin",))[0]}, _routes(app), runner)


def _routes(app: FastAPI) -> list[tuple[str, set[str], str]]:
    scopes = documented() | WITHOUT_LOG
    found = []
    for context in iter_route_contexts(app.routes):
        path = context.path or ""
        mounted = isinstance(context.original_route, ScopedMount)
        template = path + "/{path}" if mounted else path
        methods = {"GET"} if mounted else set(context.methods or ())
        found.append((template, methods, scopes.get(entry_of(scopes, methods, template), "admin")))
    return found


def test_every_route_says_what_it_needs_and_the_page_says_the_same(door: Door) -> None:
    table = documented()
    contexts = list(iter_route_contexts(door.app.routes))
    unguarded = [
        context.path for context in contexts if not isinstance(context.original_route, ScopedRoute | ScopedMount)
    ]
    assert unguarded == [], "routes that do not ask the gate by themselves"
    silent = [
        context.path
        for context in contexts
        if isinstance(context.original_route, ScopedRoute)
        and required_scope_of(context.original_route.endpoint) is None
    ]
    assert silent == [], "routes without @requires: they are for admins until they say so"
    said = {
        entry_of(table, methods, template): getattr(context.original_route, "required_scope", None)
        for context, (template, methods, _) in zip(contexts, door.routes, strict=True)
    }
    missing = ONLY_WITH_LOG if any("{rest:path}" in path for path in said) else set()
    assert {path: scope for path, scope in said.items() if path not in WITHOUT_LOG} == {
        path: scope for path, scope in table.items() if path not in missing
    }


def expected(door: Door, method: str, path: str, who: str) -> set[int]:
    """What the second table says; the allowed get any answer that is no refusal."""
    if re.search(r"[\x00-\x1f\x7f-\x9f]", path):
        return {400}
    anybody = who not in {"none", "wrong"}
    found = _find(door, method, path)
    if found is None:
        other = path.rstrip("/") if path.endswith("/") else f"{path}/"
        redirects = any(_pattern(template).fullmatch(other) for template, _, _ in door.routes)
        return {401} if not anybody else {307} if redirects else {404}
    methods, scope = found
    if scope not in {OPEN, HEALTH}:
        if not anybody:
            return {401}
        if who not in {scope, "admin"}:
            return {403}
    return {405} if method not in methods else set(range(200, 600)) - {401, 403, 405, 421}


def _find(door: Door, method: str, path: str) -> tuple[set[str], str] | None:
    of_path = [(methods, scope) for template, methods, scope in door.routes if _pattern(template).fullmatch(path)]
    return next((found for found in of_path if method in found[0]), of_path[0] if of_path else None)


def _pattern(template: str) -> re.Pattern[str]:
    inner = re.escape(template).replace(r"\{path\}", ".*").replace(r"\{rest:path\}", ".*")
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", inner), re.DOTALL)


def _example(template: str) -> str:
    return re.sub(r"\{(\w+)(:path)?\}", lambda found: EXAMPLES[found[1]], template)


@pytest.mark.slow
def test_every_route_in_every_spelling_for_everybody(door: Door) -> None:
    wrong, tried = [], 0
    for template, methods, _ in door.routes:
        for suffix in SUFFIXES:
            raw = _example(template).upper() if suffix == "upper" else _example(template) + suffix
            for method in {*methods, OTHER_METHOD}:
                for who, key in door.keys.items():
                    tried += 1
                    status, reads = door.ask(method, raw, key)
                    wanted = expected(door, method, unquote(raw), who)
                    if status not in wanted or (reads and wanted <= REFUSED):
                        wrong.append((method, raw, who, status, reads))
    assert wrong == []
    assert tried > 2500


@pytest.mark.parametrize("path", ["/v1/monitor", "/v1/review", "/v1/models/tiny/reload", "/v1/feedback", "/metrics"])
def test_a_newline_opens_nothing(door: Door, path: str) -> None:
    """Yesterday these were 200 for a key that may only predict."""
    for ending in ("%0A", "%0a", "%0D%0A", "%00", "%0A%0A"):
        for method in ("GET", "POST"):
            assert door.ask(method, path + ending, door.keys["predict"]) == (400, 0)


def test_who_forgets_a_scope_gets_a_route_for_admins(door: Door) -> None:
    ran: list[str] = []

    @door.app.get("/forgotten")
    async def forgotten() -> str:
        ran.append("forgotten")
        return "secret"

    @door.app.post("/told")
    @requires("metrics")
    async def told() -> str:
        return "numbers"

    assert [door.ask("GET", "/forgotten", key)[0] for key in door.keys.values()] == [403, 403, 403, 200, 401, 401]
    assert ran == ["forgotten"], "only for the admin"
    assert [door.ask("POST", "/told", key)[0] for key in door.keys.values()] == [403, 403, 200, 200, 401, 401]


def test_an_endpoint_that_goes_round_the_gate_gets_nothing_and_says_nothing(door: Door) -> None:
    bodies: list[bytes] = []

    async def around(request: Request) -> PlainTextResponse:
        bodies.append(await request.body())
        return PlainTextResponse("secret")

    async def silent(_: Request) -> PlainTextResponse:
        return PlainTextResponse("secret")

    door.app.router.routes.append(Route("/around", around, methods=["POST"]))
    door.app.router.routes.append(Route("/silent", silent))
    for method, path in (("POST", "/around"), ("GET", "/silent")):
        answers = [door.ask(method, path, key) for key in door.keys.values()]
        assert [status for status, _ in answers] == [403, 403, 403, 200, 401, 401]
        assert [reads for status, reads in answers if status != 200] == [0] * 5
    assert bodies == [b""]
    client = TestClient(door.app, raise_server_exceptions=False)
    assert_problem(client.get("/silent"), 401, "no-key")


def test_the_description_says_which_scope_a_route_asks_for(door: Door) -> None:
    paths = door.app.openapi()["paths"]
    table = documented()
    for path, operations in paths.items():
        for method, operation in operations.items():
            scope = table[entry_of(table, [method.upper()], path)]
            if scope in {OPEN, HEALTH}:
                assert operation["security"] == []
            else:
                assert operation["x-required-scope"] == scope

"""Errors as RFC 9457 problem details, and below ``/v2`` as the Open Inference Protocol wants them."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from animal_classification.errors import AnimalsError, ImageError, UsageError
from animal_classification.serving.http.request_path import path_below_root, speaks_open_inference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI, Request
    from starlette.types import Scope

# nginx's status for it; nobody receives it, but it stands in the log and in the metrics.
CLIENT_GONE = 499
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
MEDIA_TYPE = "application/problem+json"
# What a client can mend; any other error of ours is the server's own trouble, and its message may name local paths.
STATUS_OF: dict[type[AnimalsError], int] = {ImageError: 422, UsageError: 422}


class ProblemDetails(BaseModel):
    """What went wrong, for programs and for people (RFC 9457)."""

    type: str = Field(description="Which kind of problem; `about:blank` where the status says it all.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request and what to do about it.")
    errors: list[dict[str, str]] | None = Field(default=None, description="Each value that was refused.")


class ProblemError(Exception):
    """Raised anywhere below a route to answer with a problem.

    Args:
        status: The HTTP status.
        detail: One sentence: what is wrong and what to do.
        kind: A word that programs can rely on, such as ``too-many-files``.
        headers: Extra response headers.
    """

    def __init__(
        self, status: int, detail: str, *, kind: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = headers

    def response(self) -> JSONResponse:
        """The answer to send, as a problem; :func:`respond` chooses the form."""
        return problem_response(self.status, self.detail, kind=self.kind, headers=self.headers)


class ClientGoneError(Exception):
    """The client went away; nobody waits for an answer any more."""


def problem_response(
    status: int,
    detail: str,
    *,
    kind: str | None = None,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, str]] | None = None,
) -> JSONResponse:
    """Build a problem; ``kind`` becomes its ``type`` and its ``title``."""
    body = problem_body(status, detail, kind=kind)
    if errors is not None:
        body["errors"] = list(errors)
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def respond(scope: Scope, problem: ProblemError) -> JSONResponse:
    """The answer to a request, in the form that its path promises."""
    return _in_form(path_below_root(scope), problem)


def problem_body(status: int, detail: str, *, kind: str | None = None) -> dict[str, Any]:
    """The members that every problem has."""
    return {
        "type": f"urn:animals:problem:{kind}" if kind else "about:blank",
        "title": kind.replace("-", " ").capitalize() if kind else HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }


def not_found(path: str) -> JSONResponse:
    """The answer for a path, below the server's prefix, that nothing serves."""
    return _in_form(path, ProblemError(404, f"there is nothing at {path[:200]}; the API is described at /docs"))


def _in_form(path: str, problem: ProblemError) -> JSONResponse:
    if speaks_open_inference(path):
        return JSONResponse({"error": problem.detail}, status_code=problem.status, headers=dict(problem.headers or {}))
    return problem.response()


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the problems that a route answers with."""
    schema = ProblemDetails.model_json_schema()
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem, whoever raised it.

    The handlers are coroutines though they await nothing: Starlette calls others on threads, where they wait for longer
    than they work.
    """
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(ClientGoneError, _on_gone)
    app.add_exception_handler(AnimalsError, _on_animals_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)


async def _on_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    if error.kind is not None:
        request.app.state.service.metrics.rejected(error.kind)
    return respond(request.scope, error)


async def _on_animals_error(request: Request, error: Exception) -> JSONResponse:
    status = next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), None)
    if status is not None:
        return respond(request.scope, ProblemError(status, str(error)))
    # What has a handler of its own is not logged by the server.
    logging.getLogger(__name__).error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await _on_bug(request, error)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if speaks_open_inference(path_below_root(request.scope)):
        return respond(request.scope, ProblemError(422, _in_words(_refused(error.errors()))))
    return invalid_values(error.errors())


def invalid_values(errors: Sequence[Mapping[str, Any]]) -> JSONResponse:
    """The answer to values that pydantic refused."""
    refused = _refused(errors)
    return problem_response(422, _in_words(refused), kind="invalid-values", errors=refused)


def _refused(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [{"where": ".".join(str(part) for part in item["loc"]), "detail": str(item["msg"])} for item in errors]


def _in_words(refused: Sequence[Mapping[str, str]]) -> str:
    return "; ".join(f"{item['where']}: {item['detail']}" for item in refused)


def _methods(request: Request) -> list[str]:
    """What is possible at a path: the framework names those of the first route there alone."""
    here = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return [method for method in _METHODS if any(_takes(route, request, method) for route in here)]


def _takes(route: BaseRoute, request: Request, method: str) -> bool:
    return route.matches({**request.scope, "method": method})[0] is Match.FULL


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and error.detail == HTTPStatus.NOT_FOUND.phrase:
        return not_found(path_below_root(request.scope))
    if error.status_code == 405:
        detail = f"{request.method} is not possible here; see the Allow header"
        return respond(request.scope, ProblemError(405, detail, headers={"Allow": ", ".join(_methods(request))}))
    return respond(request.scope, ProblemError(error.status_code, str(error.detail), headers=error.headers))


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    # The traceback goes to the log, never to the client: it tells strangers how this machine is laid out.
    detail = f"the server failed on this request ({type(error).__name__}); its log says why"
    return respond(request.scope, ProblemError(500, detail))

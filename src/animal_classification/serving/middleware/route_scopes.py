"""Which scope of an API key each route requires; it is checked before the body is read.

The scope belongs to the route that Starlette has matched. Nothing parses the path a second time, so no second reading
of a path can differ from the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fastapi.routing import APIRoute
from starlette.routing import Mount

from animal_classification.serving.middleware.api_keys import SCOPES
from animal_classification.serving.middleware.client_connection import when_arrived

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

PREDICT, FEEDBACK, METRICS, ADMIN = SCOPES  # of keys
# For routes that need no key. HEALTH answers under any host name too: probes send whatever name they like.
OPEN, HEALTH = "open", "health"
# For paths without a route: any key may learn that there is nothing.
ANY_KEY = "any"
WITHOUT_KEY = frozenset({OPEN, HEALTH})
AUTHORIZER = "animals.authorizer"
_MARK = "required_scope"
# Their routes read no body, and would answer clients who only ever send half of one.
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})
Endpoint = TypeVar("Endpoint", bound="Callable[..., Any]")


class Authorizer(Protocol):
    """Decides on one request; stands in its ASGI scope."""

    def authorize(self, required: str) -> None:
        """Let the request pass.

        Raises:
            ProblemError: It may not; see ``auth``.
        """


def authorize(scope: Scope, required: str) -> None:
    """Make sure that a request has the ``required`` scope.

    Raises:
        ProblemError: It has not.
    """
    authorizer: Authorizer = scope[AUTHORIZER]
    authorizer.authorize(required)


def requires(scope: str) -> Callable[[Endpoint], Endpoint]:
    """Mark an endpoint with what its callers need: a scope of API keys, ``OPEN`` or ``HEALTH``."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, scope)
        return endpoint

    return mark


def required_scope_of(endpoint: object) -> str | None:
    """The scope that :func:`requires` gave to an endpoint; ``None`` without one."""
    declared: str | None = getattr(endpoint, _MARK, None)
    return declared


class ScopedRoute(APIRoute):
    """A route that authorizes the request first. Without :func:`requires` it is for admins.

    Attributes:
        required_scope: What the caller needs.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.required_scope = required_scope_of(endpoint) or ADMIN
        # OpenAPI knows "no security" for an operation, and no scopes for API keys.
        needs: dict[str, Any] = {"x-required-scope": self.required_scope}
        if self.required_scope in WITHOUT_KEY:
            needs = {"security": []}
        extra = {**(options.pop("openapi_extra", None) or {}), **needs}
        super().__init__(path, endpoint, openapi_extra=extra, **options)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        authorize(scope, self.required_scope)
        if scope["method"] in _WITHOUT_BODY:
            await when_arrived(super().handle, scope, receive, send)
        else:
            await super().handle(scope, receive, send)


class ScopedMount(Mount):
    """Another application below a path, authorized in the same way.

    Args:
        path: As in Starlette.
        app: As in Starlette.
        name: As in Starlette.
        required: What the caller needs.
    """

    def __init__(self, path: str, app: ASGIApp, name: str, *, required: str = ADMIN) -> None:
        super().__init__(path, app=app, name=name)
        self.required_scope = required

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        authorize(scope, self.required_scope)
        await super().handle(scope, receive, send)

"""What a route asks of its callers. The route says so itself, and the gate hears of it before the body is read.

Rights hang on the route that Starlette matched. Nothing looks at the path a second time, so there is no second reading
of a path that could differ from the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fastapi.routing import APIRoute
from starlette.routing import Mount

from animal_classification.serving.middleware.api_keys import SCOPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

PREDICT, FEEDBACK, METRICS, ADMIN = SCOPES  # of keys
# No key is needed. HEALTH answers under any host name as well, because probes name the host as they like.
OPEN, HEALTH = "open", "health"
# For paths that no route has: whoever holds a key may know that there is nothing.
ANY_KEY = "any"
WITHOUT_KEY = frozenset({OPEN, HEALTH})
GATE = "animals.gate"
_MARK = "required_scope"
Endpoint = TypeVar("Endpoint", bound="Callable[..., Any]")


class Gate(Protocol):
    """Decides on one request; found in its scope."""

    def admit(self, wanted: str) -> None:
        """Let the request in.

        Raises:
            ProblemError: It may not pass; see ``guarding``.
        """


def admit(scope: Scope, wanted: str) -> None:
    """Ask the gate of a request whether it may have what ``wanted`` stands for.

    Raises:
        ProblemError: It may not.
    """
    gate: Gate = scope[GATE]
    gate.admit(wanted)


def scoped(wanted: str) -> Callable[[Endpoint], Endpoint]:
    """Mark an endpoint with what its callers need: a scope of keys, ``OPEN`` or ``HEALTH``."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, wanted)
        return endpoint

    return mark


def declared_scope(endpoint: object) -> str | None:
    """What :func:`scoped` said of an endpoint; ``None`` where nobody did."""
    declared: str | None = getattr(endpoint, _MARK, None)
    return declared


class ScopedRoute(APIRoute):
    """A route that asks the gate first; whoever forgets :func:`scoped` gets a route for admins.

    Attributes:
        required_scope: What the caller needs.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.required_scope = declared_scope(endpoint) or ADMIN
        # OpenAPI knows "no security" for an operation, and no scopes for API keys.
        needs: dict[str, Any] = {"x-required-scope": self.required_scope}
        if self.required_scope in WITHOUT_KEY:
            needs = {"security": []}
        extra = {**(options.pop("openapi_extra", None) or {}), **needs}
        super().__init__(path, endpoint, openapi_extra=extra, **options)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        admit(scope, self.required_scope)
        await super().handle(scope, receive, send)


class ScopedMount(Mount):
    """Another application below a path, behind the gate.

    Args:
        path: Where.
        app: Which.
        name: As in Starlette.
        wanted: What the caller needs.
    """

    def __init__(self, path: str, app: ASGIApp, name: str, *, wanted: str = ADMIN) -> None:
        super().__init__(path, app=app, name=name)
        self.required_scope = wanted

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        admit(scope, self.required_scope)
        await super().handle(scope, receive, send)

"""Who may send requests, and how often: decided for the matched route, before a byte of the body is read."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.serving.http.problem_details import ProblemError, respond
from animal_classification.serving.http.request_path import has_control_characters
from animal_classification.serving.middleware.allowed_hosts import AllowedHosts, require_own_site
from animal_classification.serving.middleware.api_keys import PREFIX, Key, KeyRing
from animal_classification.serving.middleware.rate_limit import RateLimiter, address_group
from animal_classification.serving.middleware.request_log import record_of
from animal_classification.serving.middleware.route_scopes import ADMIN, ANY_KEY, AUTHORIZER, HEALTH, WITHOUT_KEY

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from animal_classification.serving.observability.metrics import ServerMetrics
    from animal_classification.settings import Settings

ADMISSION = "animals.admission"
_HEADERS = frozenset({b"authorization", b"host", b"origin", b"sec-fetch-site", b"x-api-key"})


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that was let in, and who is charged for its photos.

    Attributes:
        rates: What each client has used.
        client: Who is charged.
        per_minute: Photos a minute; 0 for any number.
        key: The API key; ``None`` where the server needs none.
    """

    rates: RateLimiter
    client: Hashable
    per_minute: float
    key: Key | None = None

    def require_rate(self) -> None:
        """Make sure that the client may send a photo now.

        Raises:
            ProblemError: 429 with the time to wait.
        """
        seconds = self.rates.seconds_to_wait(self.client, self.per_minute) if self.per_minute else 0.0
        if seconds > 0:
            retry = str(math.ceil(seconds))
            detail = f"more than {self.per_minute:g} photos a minute; try again in {retry} s"
            raise ProblemError(429, detail, kind="too-fast", headers={"Retry-After": retry})

    def charge(self, photos: int) -> None:
        """Count photos; the rate is checked again, because other requests may have come while this body was read."""
        self.require_rate()
        if self.per_minute:
            self.rates.take(self.client, self.per_minute, photos)


def charge(scope: Scope, photos: int) -> None:
    """Count photos of a request against its client's rate.

    Raises:
        ProblemError: 429 where the rate is used up.
    """
    admission: Admission | None = scope.get(ADMISSION)
    if admission is not None:
        admission.charge(photos)


def key_of(scope: Scope) -> Key | None:
    """The API key of a request; ``None`` where the server needs none."""
    admission: Admission | None = scope.get(ADMISSION)
    return None if admission is None else admission.key


class AccessRules:
    """The rules that hold for every request.

    Args:
        settings: The file of keys, the known hosts and sites, and the rate for keys without a rate of their own.
        metrics: Where it is counted whether the keys can be read.

    Raises:
        UsageError: The keys cannot be read.
    """

    def __init__(self, settings: Settings, metrics: ServerMetrics) -> None:
        file = settings.keys_file
        self._keys = KeyRing(Path(file), on_look=metrics.keys_file_readable) if file else None
        self._rates = RateLimiter()
        self._per_minute = settings.rate_limit
        self._workers = settings.workers  # each counts only its own requests, so each grants its share of a rate
        self._hosts = AllowedHosts(settings)
        self._cors = settings.cors

    def admit(self, scope: Scope, required: str) -> Admission | None:
        """Decide on a request.

        Args:
            scope: Of the request.
            required: A scope of keys, or ``OPEN``, ``HEALTH`` or ``ANY_KEY``.

        Returns:
            Who is charged; ``None`` for a route that needs no key.

        Raises:
            ProblemError: 421, 403, 401 or 429.
        """
        headers = _headers(scope)
        if required != HEALTH:
            self._hosts.require(headers["host"])
        require_own_site(scope["method"], headers, self._cors)
        if required in WITHOUT_KEY:
            return None
        key = None if self._keys is None else self._require_key(self._keys, scope, headers, required)
        address = (scope.get("client") or ("",))[0]
        client: Hashable = ("key", key.id) if key else ("address", address_group(address))
        own = key.rate_limit if key else None
        admission = Admission(self._rates, client, (self._per_minute if own is None else own) / self._workers, key)
        if scope["method"] == "POST":
            admission.require_rate()
        return admission

    def _require_key(self, keys: KeyRing, scope: Scope, headers: Mapping[str, list[str]], required: str) -> Key:
        given = _given_key(headers)
        key = None if given is None else keys.find(given)
        if key is None:
            detail = "an API key is needed: send it once, as 'X-API-Key: KEY' or as 'Authorization: Bearer KEY'"
            raise ProblemError(401, detail, kind="no-key", headers={"WWW-Authenticate": 'Bearer realm="animals"'})
        record_of(scope).key = key.name
        if required != ANY_KEY and not key.allows(required):
            raise ProblemError(
                403, f"this API key does not allow that: it lacks the scope {required!r}", kind="no-scope"
            )
        return key


class RequestAuthorizer:
    """Authorizes one request, when its route says what it requires.

    Where no route has said so by the time that the first byte is read or written, it decides by itself: an endpoint
    without a scope is for admins, and a path without a route is for any key.
    """

    def __init__(self, rules: AccessRules, scope: Scope) -> None:
        self._rules = rules
        self._scope = scope
        self._decided = False
        self.refusal: ProblemError | None = None

    def authorize(self, required: str) -> None:
        """See :class:`route_scopes.Authorizer`."""
        self._decided = True
        self._scope[ADMISSION] = self._rules.admit(self._scope, required)

    def decide(self) -> ProblemError | None:
        """Decide if no route did; returns the refusal, if it is one."""
        if not self._decided:
            try:
                self.authorize(ADMIN if "endpoint" in self._scope else ANY_KEY)
            except ProblemError as problem:
                self.refusal = problem
        return self.refusal


class AuthMiddleware:
    """An ASGI application around another, which lets in only authorized requests.

    Args:
        app: The application inside; its routes authorize each request (see ``route_scopes``).
        settings: See :class:`AccessRules`.
        metrics: Where refusals are counted.

    Raises:
        UsageError: The keys cannot be read.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: ServerMetrics) -> None:
        self._app = app
        self._metrics = metrics
        self._rules = AccessRules(settings, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if has_control_characters(scope):
            problem = ProblemError(400, "the path holds control characters", kind="control-characters")
            await self._refuse(problem, scope, receive, send)
            return
        authorizer = scope[AUTHORIZER] = RequestAuthorizer(self._rules, scope)

        async def receive_if_authorized() -> Message:
            return {"type": "http.disconnect"} if authorizer.decide() else await receive()

        async def send_if_authorized(message: Message) -> None:
            if authorizer.decide() is None:
                await send(message)

        try:
            await self._app(scope, receive_if_authorized, send_if_authorized)
        except Exception:
            if authorizer.refusal is None:  # otherwise the route failed because its client seemed to have gone
                raise
        finally:
            del scope[AUTHORIZER]  # which holds the scope; a circle would wait for the garbage collector
        if authorizer.refusal is not None:
            await self._refuse(authorizer.refusal, scope, receive, send)

    async def _refuse(self, problem: ProblemError, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.rejected(problem.kind or "refused")
        await respond(scope, problem)(scope, receive, send)


def describe_keys(document: dict[str, Any]) -> None:
    """Say in an OpenAPI document how keys are sent; each route says there whether it needs one."""
    document.setdefault("components", {})["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    document["security"] = [{"bearer": []}, {"header": []}]


def _headers(scope: Scope) -> Mapping[str, list[str]]:
    """The headers that decide, by name, with every value that was sent."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, value in scope["headers"]:
        if name in _HEADERS:
            found[name.decode("ascii")].append(value.decode("latin-1").strip())
    return found


def _given_key(headers: Mapping[str, list[str]]) -> str | None:
    """The key that a request was sent with; ``None`` for none, and for several.

    ``X-API-Key`` wins. A bearer token counts only where it looks like a key of ours, so that an identity token, or the
    password of a proxy, can be sent beside it.
    """
    direct, authorization = headers["x-api-key"], headers["authorization"]
    if len(direct) > 1 or len(authorization) > 1:
        return None
    bearers = [key for key in map(_bearer, authorization) if key.startswith(PREFIX)]
    if direct and bearers and direct != bearers:
        return None
    return next(iter(direct + bearers), None)


def _bearer(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""

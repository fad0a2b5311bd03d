"""Who may ask, and how often: decided on the route that was matched, before a byte of the body is read."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.serving.http.problem_details import ProblemError, respond
from animal_classification.serving.http.request_path import has_control_characters
from animal_classification.serving.middleware.allowed_hosts import Hosts, require_own_site
from animal_classification.serving.middleware.api_keys import PREFIX, Key, KeyRing
from animal_classification.serving.middleware.rate_limit import Rates, address_group
from animal_classification.serving.middleware.request_log import notes_of
from animal_classification.serving.middleware.route_scopes import ADMIN, ANY_KEY, GATE, HEALTH, WITHOUT_KEY

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from animal_classification.serving.observability.metrics import ServerMetrics
    from animal_classification.settings import Settings

PASS = "animals.pass"  # noqa: S105 - a name in the scope
_HEADERS = frozenset({b"authorization", b"host", b"origin", b"sec-fetch-site", b"x-api-key"})


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to ask; each photo is charged.

    Attributes:
        rates: What everybody has used.
        who: Who is charged.
        per_minute: Photos a minute; 0 for any number.
        key: Whose key it was; ``None`` where no keys are asked for.
    """

    rates: Rates
    who: Hashable
    per_minute: float
    key: Key | None = None

    def require_patience(self) -> None:
        """Make sure that there is something left.

        Raises:
            ProblemError: 429 with the time to wait.
        """
        seconds = self.rates.wait(self.who, self.per_minute) if self.per_minute else 0.0
        if seconds > 0:
            retry = str(math.ceil(seconds))
            detail = f"more than {self.per_minute:g} photos a minute; try again in {retry} s"
            raise ProblemError(429, detail, kind="too-fast", headers={"Retry-After": retry})

    def charge(self, photos: int) -> None:
        """So many photos came. Asked again, because others may have come while their body was read."""
        self.require_patience()
        if self.per_minute:
            self.rates.take(self.who, self.per_minute, photos)


def charge(scope: Scope, photos: int) -> None:
    """Charge whoever made the request of ``scope`` for photos.

    Raises:
        ProblemError: 429 where nothing is left.
    """
    leave: Pass | None = scope.get(PASS)
    if leave is not None:
        leave.charge(photos)


def key_of(scope: Scope) -> Key | None:
    """The key with which the request of ``scope`` was let in; ``None`` where no keys are asked for."""
    leave: Pass | None = scope.get(PASS)
    return None if leave is None else leave.key


class AccessRules:
    """What holds for every request.

    Args:
        settings: Where the keys are, which hosts and sites are known, how often one may ask without a rate of its own.
        metrics: Told whether the keys can be read.

    Raises:
        UsageError: The keys cannot be read.
    """

    def __init__(self, settings: Settings, metrics: ServerMetrics) -> None:
        file = settings.keys_file
        self._ring = KeyRing(Path(file), on_look=metrics.keys_file_readable) if file else None
        self._rates = Rates()
        self._per_minute = settings.rate_limit
        self._workers = settings.workers  # each knows only what it answers itself, so each grants its share of a rate
        self._hosts = Hosts(settings)
        self._cors = settings.cors

    def leave(self, scope: Scope, wanted: str) -> Pass | None:
        """Decide on a request.

        Args:
            scope: Of the request.
            wanted: A scope of keys, or one of the other words of ``access``.

        Returns:
            Whom to charge; ``None`` where nobody is asked who he is.

        Raises:
            ProblemError: 421, 403, 401 or 429.
        """
        headers = _headers(scope)
        if wanted != HEALTH:
            self._hosts.require(headers["host"])
        require_own_site(scope["method"], headers, self._cors)
        if wanted in WITHOUT_KEY:
            return None
        key = None if self._ring is None else self._key(self._ring, scope, headers, wanted)
        client = scope.get("client")
        who: Hashable = ("key", key.id) if key else ("address", address_group(client[0] if client else ""))
        own = key.rate_limit if key else None
        leave = Pass(self._rates, who, (self._per_minute if own is None else own) / self._workers, key)
        if scope["method"] == "POST":
            leave.require_patience()
        return leave

    def _key(self, ring: KeyRing, scope: Scope, headers: Mapping[str, list[str]], wanted: str) -> Key:
        given = _given_key(headers)
        key = None if given is None else ring.find(given)
        if key is None:
            detail = "an API key is needed: send it once, as 'X-API-Key: KEY' or as 'Authorization: Bearer KEY'"
            raise ProblemError(401, detail, kind="no-key", headers={"WWW-Authenticate": 'Bearer realm="animals"'})
        notes_of(scope).key = key.name
        if wanted != ANY_KEY and not key.allows(wanted):
            raise ProblemError(403, f"this API key does not allow that: it lacks the scope {wanted!r}", kind="no-scope")
        return key


class RequestGate:
    """The gate of one request, which the route asks.

    Where nobody has asked by the time that the first byte is read or written, it decides by itself: an endpoint that
    does not say what it needs is for admins, and a path that no route has is for everybody with a key.
    """

    def __init__(self, rules: AccessRules, scope: Scope) -> None:
        self._rules = rules
        self._scope = scope
        self._asked = False
        self.refusal: ProblemError | None = None

    def admit(self, wanted: str) -> None:
        """See ``access.Gate``."""
        self._asked = True
        self._scope[PASS] = self._rules.leave(self._scope, wanted)

    def settle(self) -> ProblemError | None:
        """Decide where nobody has asked; returns the refusal, if it is one."""
        if not self._asked:
            try:
                self.admit(ADMIN if "endpoint" in self._scope else ANY_KEY)
            except ProblemError as problem:
                self.refusal = problem
        return self.refusal


class Guarding:
    """An ASGI application around another, which lets in only who may.

    Args:
        app: The other; its routes ask the gate (see ``access``).
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
        gate = scope[GATE] = RequestGate(self._rules, scope)

        async def receive_when_let_in() -> Message:
            return {"type": "http.disconnect"} if gate.settle() else await receive()

        async def send_when_let_in(message: Message) -> None:
            if gate.settle() is None:
                await send(message)

        try:
            await self._app(scope, receive_when_let_in, send_when_let_in)
        except Exception:
            if gate.refusal is None:  # else it is what comes of a client that seems to have gone
                raise
        if gate.refusal is not None:
            await self._refuse(gate.refusal, scope, receive, send)

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
    """What decides, by name: the values of each header, as often as it is there."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, value in scope["headers"]:
        if name in _HEADERS:
            found[name.decode("ascii")].append(value.decode("latin-1").strip())
    return found


def _given_key(headers: Mapping[str, list[str]]) -> str | None:
    """The key that a request was sent with; ``None`` for none, and for several.

    ``X-API-Key`` wins. A Bearer counts only where it looks like a key of ours, so that an identity token, or the
    password of a proxy, can stand beside it.
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

"""Who the client is behind proxies: counted from this server outwards, never from the client inwards.

Each proxy appends the address of its own client to ``X-Forwarded-For``. The entries left of those of trusted proxies
were written by the client, who can write anything.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address
ANYBODY = "*"


class TrustedProxies:
    """Which proxies are trusted.

    Args:
        trusted: Addresses and networks; or a number of proxies of any address; or ``*`` for one.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        first = trusted[0] if trusted else ""
        self._hops = 1 if ANYBODY in trusted else int(first) if first.isdecimal() else 0
        self._networks: list[IPv4Network | IPv6Network] = (
            [] if self._hops else [ip_network(text, strict=False) for text in trusted]
        )

    def hops(self, peer: str, forwarded: Sequence[str]) -> int:
        """How many entries of ``forwarded`` are trusted, from the right; the leftmost of them is the client.

        Args:
            peer: Address of the connection's other end.
            forwarded: The entries of ``X-Forwarded-For``.
        """
        if self._hops:
            return min(self._hops, len(forwarded))
        trusted = 0
        sender = _address(peer)
        for entry in reversed(forwarded):
            if sender is None or not self._in_networks(sender):
                break
            sender = _address(entry)
            if sender is None:  # no address, so no client can be told apart by it
                break
            trusted += 1
        return trusted

    def trusts(self, peer: str) -> bool:
        """Whether the other end of the connection is a proxy."""
        address = _address(peer)
        return self._hops > 0 or (address is not None and self._in_networks(address))

    def _in_networks(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


class ForwardedHeadersMiddleware:
    """An ASGI application around another, which sees the client in place of a proxy.

    Args:
        app: The application inside.
        trusted: As of :class:`TrustedProxies`.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._proxies = TrustedProxies(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = (scope.get("client") or ("", 0))[0]
        if scope["type"] == "http" and self._proxies.trusts(peer):
            self._set_client(scope, peer)
        await self._app(scope, receive, send)

    def _set_client(self, scope: Scope, peer: str) -> None:
        addresses = _entries(scope, b"x-forwarded-for")
        hops = self._proxies.hops(peer, addresses)
        client = _address(addresses[-hops]) if hops else None
        if client is not None:
            scope["client"] = (str(client), 0)
        schemes = _entries(scope, b"x-forwarded-proto")
        scheme = schemes[-min(max(hops, 1), len(schemes))].lower() if schemes else ""
        if scheme in {"http", "https"}:
            scope["scheme"] = scheme


def _entries(scope: Scope, header: bytes) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == header]
    return [entry.strip() for value in values for entry in value.split(",") if entry.strip()]


def _address(text: str) -> Address | None:
    """An address as proxies write it: with or without a port, IPv6 perhaps in brackets, IPv4 perhaps within IPv6."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address

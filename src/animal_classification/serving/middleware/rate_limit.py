"""A token bucket for each client: it fills evenly, and each photo takes a token."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

MAX_BUCKETS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimiter:
    """The buckets of all clients; each holds a minute's worth. Used from one event loop.

    A request is let in while its client's bucket is not empty. Its photos are taken out when their number is known, so
    that a bucket may owe some: the average holds over any period.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def seconds_to_wait(self, client: Hashable, per_minute: float) -> float:
        """Seconds until a client may send a photo; 0 for now."""
        bucket = self._filled(client, per_minute)
        return 0.0 if bucket.tokens >= 1 else (1 - bucket.tokens) * 60 / per_minute

    def take(self, client: Hashable, per_minute: float, photos: int) -> None:
        """Take ``photos`` tokens."""
        self._filled(client, per_minute).tokens -= photos

    def _filled(self, client: Hashable, per_minute: float) -> _Bucket:
        now = self._clock()
        capacity = max(1.0, per_minute)
        bucket = self._buckets.pop(client, None) or _Bucket(capacity, now)
        bucket.tokens = min(capacity, bucket.tokens + (now - bucket.at) * per_minute / 60)
        bucket.at = now
        self._buckets[client] = bucket
        # The one used longest ago goes. New addresses gain nothing by it: each has a full bucket anyway.
        while len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket


def address_group(address: str) -> str:
    """The client that an address belongs to: the address, or for IPv6 its /64 network, all of which one client has.

    >>> address_group("2001:db8::1") == address_group("2001:db8::ffff")
    True
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or int(parsed) >> 64)
    return address

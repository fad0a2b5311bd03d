"""How fast somebody may ask: a bucket that fills evenly, from which each photo takes a token."""

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


class Rates:
    """The buckets of all who ask. A minute's worth fits into each; used from one event loop.

    A request is let in while its bucket is not empty, and its photos are taken out when they are known, so that it may
    owe some: over any time the average holds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def wait(self, who: Hashable, per_minute: float) -> float:
        """Seconds until ``who`` may ask again; 0 for now."""
        bucket = self._filled(who, per_minute)
        return 0.0 if bucket.tokens >= 1 else (1 - bucket.tokens) * 60 / per_minute

    def take(self, who: Hashable, per_minute: float, photos: int) -> None:
        """Take ``photos`` tokens."""
        self._filled(who, per_minute).tokens -= photos

    def _filled(self, who: Hashable, per_minute: float) -> _Bucket:
        now = self._clock()
        room = max(1.0, per_minute)
        bucket = self._buckets.pop(who, None) or _Bucket(room, now)
        bucket.tokens = min(room, bucket.tokens + (now - bucket.at) * per_minute / 60)
        bucket.at = now
        self._buckets[who] = bucket
        # The one that was asked about longest ago goes; whoever fills the list with new names gains a full bucket each
        # in any case.
        while len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket


def address_group(address: str) -> str:
    """Who an address belongs to: itself, or for IPv6 its network of 64 bits, all of which one client has.

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

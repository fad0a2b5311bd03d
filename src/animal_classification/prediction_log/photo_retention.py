"""Which kept photos have to go: too old ones and too many, but none that people still need."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

Item = TypeVar("Item")
# When it was last seen in seconds since 1970, its bytes, the photo's hash, and what the place calls it.
File: TypeAlias = tuple[float, int, str, Item]
Wanted: TypeAlias = Callable[[Collection[str]], Collection[str]]


class Swept(NamedTuple):
    """How many files a sweep deleted, and the bytes of those that stay."""

    deleted: int
    bytes_left: int


def nothing_wanted(_: Collection[str]) -> Collection[str]:
    """No photo stays for longer than others."""
    return ()


def to_delete(kept: Sequence[File[Item]], *, most_bytes: int, days: float, wanted: Wanted) -> list[File[Item]]:
    """What has to go, the oldest first: what is older than ``days`` (0: nothing is), and then what is too much.

    Args:
        kept: What there is.
        most_bytes: That may stay, those of wanted photos among them; less than none for nothing.
        days: How old they may become.
        wanted: Says which photos stay whatever their age; asked only where something has to go.
    """
    gone = _too_much(kept, most_bytes, days)
    stay = wanted({photo for _, _, photo, _ in kept}) if gone else ()
    if not stay:
        return gone
    rest = [file for file in kept if file[2] not in stay]
    staying = sum(file[1] for file in kept) - sum(file[1] for file in rest)
    return _too_much(rest, most_bytes - staying, days)


def _too_much(kept: Sequence[File[Item]], most_bytes: int, days: float) -> list[File[Item]]:

    ordered = sorted(kept, key=lambda file: file[0])
    size = sum(file[1] for file in ordered)
    too_old = time.time() - 86400 * days if days else 0.0
    gone = []
    for file in ordered:
        if file[0] >= too_old and size <= most_bytes:
            break
        gone.append(file)
        size -= file[1]
    return gone

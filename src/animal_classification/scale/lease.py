"""Who works on which shard: leases, which save work and never decide what counts.

The lease of a shard is a file ``lease/00017.000`` that only one can make. Its owner says every few seconds that it
lives. Whoever finds a lease whose owner is gone makes the next, ``lease/00017.001``. A shard that has cost a process is
gone through with care: the lease names the files in hand, fewer each time, until a file that ends the process is alone.
After three deaths with it in hand it is given up, and its row says so.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from animal_classification.scale.storage import BatchFolder

HEARTBEAT_SECONDS = 20.0
AHEAD_SECONDS = 3600.0
STALE_AFTER = 3  # heartbeats
STRIKES = 3
NARROWING = 8  # a suspected range is looked at in this many parts
FIRST_PARTS = 32

Range = tuple[int, int]
# As ``lease_name`` gives them; a number of more digits would be one of ten thousand deaths.
_NAME = re.compile(r"([0-9]{5,9})\.([0-9]{3,4})")


@dataclass(frozen=True)
class Lease:
    """What an owner says of a shard.

    Attributes:
        worker: The owner's name, different for every process.
        host: The machine, and ``pid`` the process there.
        time: When it last said that it lives, in seconds since 1970.
        over: It gave the shard back: it failed, or was told to end.
        dead: Somebody saw that it is dead.
        deaths: How many owners died before it.
        hand: The files in hand, from and up to; ``None`` where it did not say.
        strikes: How many owners died one after the other with the same single file in hand, this one not counted.
        given_up: Files that are not looked at any more.
    """

    worker: str
    host: str
    pid: int
    time: Annotated[float, Field(allow_inf_nan=False)]
    over: bool = False
    dead: bool = False
    deaths: int = 0
    hand: Range | None = None
    strikes: int = 0
    given_up: tuple[int, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Lease | None:
        """From a file; ``None`` where it is none of ours."""
        with suppress(ValueError, RecursionError):
            return _READ.validate_json(data)
        return None

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


_READ = TypeAdapter(Lease)


@dataclass(frozen=True)
class Suspicion:
    """What earlier owners of a shard left to their successor.

    Attributes:
        deaths: How many there were.
        within: The files one of which may end the process; all where nothing is known.
        strikes: How many died with that one file in hand.
        given_up: Files that are not looked at any more.
    """

    deaths: int = 0
    within: Range | None = None
    strikes: int = 0
    given_up: tuple[int, ...] = ()

    @classmethod
    def after(cls, dead: Lease) -> Suspicion:
        """What follows from the last words of an owner that is gone."""
        hand, deaths = dead.hand, dead.deaths + 1
        if dead.over:
            return cls(dead.deaths, None, 0, dead.given_up)
        if hand is None:
            return cls(deaths, None, 0, dead.given_up)
        if hand[1] - hand[0] > 1:
            return cls(deaths, hand, 0, dead.given_up)
        strikes = dead.strikes + 1
        if strikes >= STRIKES:
            return cls(deaths, None, 0, tuple(sorted({*dead.given_up, hand[0]})))
        return cls(deaths, hand, strikes, dead.given_up)

    def ranges(self, count: int) -> list[Range]:
        """In which portions to go through ``count`` files: small where the culprit is looked for.

        >>> Suspicion().ranges(100)
        [(0, 100)]
        >>> Suspicion(2, (40, 48)).ranges(100)[:3]
        [(0, 40), (40, 41), (41, 42)]
        """
        if not self.deaths:
            return [(0, count)] if count else []
        low, high = self.within or (0, count)
        known = self.within is not None and 0 <= low < high <= count
        if not known:  # nothing was said, or of another shard
            low, high = 0, count
        parts = NARROWING if known else FIRST_PARTS
        step = max(1, -(-(high - low) // parts))
        inner = [(start, min(start + step, high)) for start in range(low, high, step)]
        return [part for part in [(0, low), *inner, (high, count)] if part[0] < part[1]]


@dataclass
class Claim:
    """A lease of ours.

    Attributes:
        shard: Its number.
        suspicion: What is known of the owners before.
        lease: What we said last.
    """

    folder: BatchFolder
    shard: int
    number: int
    lease: Lease
    suspicion: Suspicion
    clock: Callable[[], float] = time.time
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def beat(self) -> None:
        """Say that we live; called from another thread."""
        self._say(time=self.clock())

    def take(self, hand: Range) -> None:
        """Say which files are in hand now."""
        same = hand == self.suspicion.within
        self._say(time=self.clock(), hand=hand, strikes=self.suspicion.strikes if same else 0)

    def give_back(self) -> None:
        """Say that somebody else may go on; no death."""
        self._say(over=True, hand=None)
        self.ended = True

    def done(self) -> None:
        """The shard has its rows: its leases are of no use any more."""
        with self.lock:
            self.ended = True
            Leases(self.folder, self.lease.worker).remove({self.shard: self.number})

    def _say(self, **news: Any) -> None:
        with self.lock:
            if not self.ended:
                self.lease = replace(self.lease, **news)
                self.folder.put(lease_name(self.shard, self.number), self.lease.encode())


@dataclass
class Leases:
    """The leases of a batch, as one process sees them.

    Attributes:
        folder: The batch's.
        worker: This process.
        heartbeat: Seconds between signs of life.
        clock: Seconds since 1970.
    """

    folder: BatchFolder
    worker: str
    heartbeat: float = HEARTBEAT_SECONDS
    clock: Callable[[], float] = time.time

    def claim(self, shard: int) -> Claim | None:
        """Take a shard that nobody has, or whose owner is gone; ``None`` where somebody works on it."""
        return self.claim_after(shard, self.newest().get(shard, -1))

    def claim_after(self, shard: int, newest: int, *, heirs: frozenset[str] = frozenset()) -> Claim | None:
        """The same, where the number of its newest lease is known, -1 for none.

        Args:
            shard: Its number.
            newest: The number of its newest lease.
            heirs: Names of workers of which the caller knows that they are gone.
        """
        suspicion = Suspicion()
        if newest >= 0:
            try:
                last = Lease.parse(self.folder.read(lease_name(shard, newest)))
            except FileNotFoundError:
                return None  # it has just been done
            if last is not None and not self.is_gone(last) and last.worker not in heirs:
                return None
            suspicion = Suspicion(newest + 1) if last is None else Suspicion.after(last)
        return self._make(shard, newest + 1, suspicion)

    def newest(self) -> dict[int, int]:
        """The number of the newest lease of every shard that has one: one listing."""
        return {shard: max(numbers) for shard, numbers in self._numbers().items()}

    def is_gone(self, lease: Lease) -> bool:
        """Whether an owner will not come back, as far as can be seen from here.

        The clocks of two machines differ; one that is hours ahead would keep a shard for hours after its death.
        """
        silent = self.clock() - lease.time
        if lease.over or lease.dead or silent > STALE_AFTER * self.heartbeat or silent < -AHEAD_SECONDS:
            return True
        return lease.host == socket.gethostname() and not is_running(lease.pid)

    def bury(self, worker: str) -> None:
        """Say of a worker that was seen dead that its leases are free."""
        for shard, number in self.newest().items():
            with suppress(FileNotFoundError):
                name = lease_name(shard, number)
                lease = Lease.parse(self.folder.read(name))
                if lease is not None and lease.worker == worker and not lease.over:
                    self.folder.put(name, replace(lease, dead=True).encode())

    def remove(self, newest: dict[int, int]) -> None:
        """Delete the leases of shards that have their rows; from each to the number of its newest lease."""
        for shard, last in newest.items():
            for number in range(last, -1, -1):
                self.folder.delete(lease_name(shard, number))

    def _make(self, shard: int, number: int, suspicion: Suspicion) -> Claim | None:
        name = lease_name(shard, number)
        lease = Lease(
            self.worker,
            socket.gethostname(),
            os.getpid(),
            self.clock(),
            deaths=suspicion.deaths,
            given_up=suspicion.given_up,
        )
        if not self.folder.put_new(name, lease.encode()):
            # After a fault on the way, it may be ours all the same.
            try:
                found = Lease.parse(self.folder.read(name))
            except FileNotFoundError:
                return None
            if found is None or found.worker != self.worker:
                return None
        return Claim(self.folder, shard, number, lease, suspicion, self.clock)

    def _numbers(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for name in self.folder.names("lease"):
            if match := _NAME.fullmatch(name):
                found.setdefault(int(match[1]), []).append(int(match[2]))
        return found


def lease_name(shard: int, number: int) -> str:
    """The file of a lease."""
    return f"lease/{shard:05d}.{number:03d}"


def new_worker() -> str:
    """A name that no other process has."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def is_running(pid: int) -> bool:
    """Whether a process of this machine lives; on Windows, where asking would end it, always yes."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True

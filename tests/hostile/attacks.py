"""Attackers, each a coroutine that goes on until it is cancelled; run beside the server as a process of its own.

``python -m tests.hostile.attacks PORT`` reads what to do as JSON from stdin, attacks until stdin is closed, and prints
how often each attack was made.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEADS = (b"", b"G", b"GET /healthz HTTP/1.1\r\nHo", b"\r\n", b"POST /v1/predict HTTP/1.1\r\nContent-Length: 1000\r\n")
INFER = "/v2/models/tiny/infer"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(1_000_000)


@dataclass
class Target:
    """Where the server is, and how often it was attacked."""

    port: int
    plan: dict[str, Any]
    done: Counter[str] = field(default_factory=Counter)
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    async def connect(self, receive_buffer: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection; with little room for answers where that is said."""
        ours = socket.socket()
        ours.setblocking(False)
        if receive_buffer:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(ours, ("127.0.0.1", self.port))
        return await asyncio.open_connection(sock=ours)

    async def pause(self) -> None:
        """So long an attacker waits before it comes again: two seconds on average."""
        await asyncio.sleep(self.rng.uniform(1, 3))


def head(method: str, path: str, length: int | str, *more: str) -> bytes:
    """A request's head."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *more, "", ""]
    return "\r\n".join(lines).encode()


async def until_closed(reader: asyncio.StreamReader) -> None:
    """Read until the server has had enough."""
    with suppress(OSError):
        while await reader.read(65_536):
            pass


async def hold(target: Target) -> None:
    """Connect, and say nothing; or ask once, and then say nothing."""
    reader, writer = await target.connect()
    try:
        if target.rng.random() < 0.3:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until_closed(reader)
    finally:
        writer.close()


async def dribble(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A byte now and then, some longer than others; then wait for the server to close."""
    closed = asyncio.ensure_future(until_closed(reader))
    while target.rng.random() < 0.9 and not closed.done():
        writer.write(b"a")
        await asyncio.wait({closed}, timeout=0.5)
    await closed


async def half_head(target: Target) -> None:
    """Begin a head; some go on with it, a byte now and then."""
    reader, writer = await target.connect()
    try:
        writer.write(target.rng.choice(HEADS))
        await dribble(target, reader, writer)
    finally:
        writer.close()


async def half_body(target: Target) -> None:
    """Begin a body on one of the routes, half of it or nothing; some go on with it, a byte now and then."""
    method, path = target.rng.choice(target.plan["routes"])
    reader, writer = await target.connect()
    try:
        kind = target.rng.choice(["application/json", "image/jpeg", "multipart/form-data; boundary=x"])
        length = target.rng.choice(["100", "10000", "10000000", "1000000000000", "9" * 5000])
        writer.write(head(method, path, length, f"Content-Type: {kind}"))
        writer.write(b"{" * target.rng.choice([0, 1, 50, 5000]))
        await dribble(target, reader, writer)
    finally:
        writer.close()


async def slow_reader(target: Target) -> None:
    """Ask for much, and read none of it."""
    _, writer = await target.connect(receive_buffer=4096)
    try:
        writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        async with asyncio.timeout(60):
            await writer.wait_closed()
    except TimeoutError:
        pass
    finally:
        writer.transport.abort()


async def broken_upload(target: Target) -> None:
    """Send half a photo, and be gone."""
    _, writer = await target.connect()
    with suppress(OSError):
        writer.write(head("POST", "/v1/predict", 2 * len(JPEG), "Content-Type: image/jpeg") + JPEG)
        async with asyncio.timeout(10):
            await writer.drain()
    if target.rng.random() < 0.5:
        writer.transport.abort()
    writer.close()


async def endless_body(target: Target) -> None:
    """Send more than any route takes."""
    method, path = target.rng.choice(target.plan["routes"])
    reader, writer = await target.connect()
    try:
        writer.write(head(method, path, 10**12))
        closed = asyncio.ensure_future(until_closed(reader))
        for _ in range(300):
            if closed.done():
                break
            writer.write(b" " * 100_000)
            await writer.drain()
        await closed
    finally:
        writer.close()


async def bomb(target: Target, name: str, path: str, kind: str, data: bytes) -> None:
    """Send a whole body that costs much, and wait for what the server says."""
    reader, writer = await target.connect()
    try:
        writer.write(head("POST", path, len(data), f"Content-Type: {kind}", "Connection: close"))
        writer.write(data)
        async with asyncio.timeout(120):
            await writer.drain()
            line = await reader.readline()
            await until_closed(reader)
        target.done[f"{name}: {line[9:12].decode() or 'closed'}"] += 1
    finally:
        writer.close()


async def bombs(target: Target, folder: str, path: str, kind: str) -> None:
    """All bombs of a folder, one after the other, again and again."""
    for file in sorted(Path(folder).iterdir()):
        with suppress(OSError, TimeoutError):
            await bomb(target, file.name, path, kind, file.read_bytes())
        await target.pause()


async def again(target: Target, attack: Callable[[Target], Awaitable[None]]) -> None:
    """One attacker: comes back whenever it has been shown the door."""
    await asyncio.sleep(target.rng.uniform(0, 2))
    while True:
        with suppress(OSError):
            await attack(target)
        target.done[getattr(attack, "__name__", "bombs")] += 1
        await target.pause()


async def main(port: int, plan: dict[str, Any]) -> Counter[str]:
    """Attack until nobody wants it any more."""
    target = Target(port, plan)

    async def photo_bombs(target: Target) -> None:
        await bombs(target, plan["photos"], "/v1/predict", "image/jpeg")

    async def text_bombs(target: Target) -> None:
        await bombs(target, plan["texts"], INFER, "application/json")

    many = [
        (hold, plan["holders"]),
        (half_head, plan["some"]),
        (half_body, 2 * plan["some"]),
        (slow_reader, plan["some"] // 10 + 1),
        (broken_upload, plan["some"] // 10 + 1),
        (endless_body, 1),
        (photo_bombs, 1),
        (text_bombs, 1),
    ]
    wanted = plan["only"] or [attack.__name__ for attack, _ in many]
    chosen = [(attack, count) for attack, count in many if attack.__name__ in wanted]
    tasks = [asyncio.create_task(again(target, attack)) for attack, count in chosen for _ in range(count)]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return target.done


if __name__ == "__main__":
    os.nice(19)  # attackers have machines of their own, and are not to take the server's cores away
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 16_384), most))
    print(json.dumps(asyncio.run(main(int(sys.argv[1]), json.loads(sys.stdin.readline())))))

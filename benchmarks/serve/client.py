"""A load client in a process of its own: closed loop (so many at once) or open loop (so many a second).

python -m benchmarks.serve.client --address http://127.0.0.1:8080 --photos FOLDER --concurrency 8 --report report.json

It speaks HTTP by itself over asyncio's transports, because it shares the cores with the server that it measures: an
ordinary client library would cost more per photo than decoding one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.predict.photos import list_photos

BOUNDARY = "animals-bench"
LATE = 60.0  # seconds after which an answer counts as lost


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.open = transport, True

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(body) < length:
            return
        if b"connection: close" in lines:
            self.close()
        status = int(head[9:12])
        self._received.clear()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, bytes(body)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed without an answer"))

    def close(self) -> None:
        """End it."""
        self.open = False
        if self._transport is not None:
            self._transport.close()

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and wait for status and body."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(LATE):
            return await self._answer


class Client:
    """Sends photos to one server and remembers how it went."""

    def __init__(self, address: str, requests: Sequence[bytes]) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._next = itertools.cycle(requests)
        self._idle: list[Connection] = []
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()

    async def one(self, since: float | None = None) -> None:
        """One request; latency counts from ``since``, when it should have been sent."""
        request = next(self._next)
        started = since if since is not None else time.perf_counter()
        try:
            connection = await self._connected()
            status, body = await connection.ask(request)
        except (OSError, TimeoutError) as error:
            self.statuses[type(error).__name__] += 1
            await asyncio.sleep(0.05)  # a server that is gone is not asked as fast as the loop turns
            return
        if connection.open:
            self._idle.append(connection)
        self.statuses[str(status)] += 1
        if status == 200:
            self.latencies.append(time.perf_counter() - started)
            # The answer is read as a program would that wants the name.
            self.labels[json.loads(body)["predictions"][0]["label"] or "error"] += 1

    async def closed_loop(self, concurrency: int, until: float) -> None:
        """So many requests at once, until a time of ``time.perf_counter``."""

        async def visitor() -> None:
            while time.perf_counter() < until:
                await self.one()

        await asyncio.gather(*(visitor() for _ in range(concurrency)))

    async def open_loop(self, rate: float, until: float, seed: int = 0) -> None:
        """Requests that come at random, ``rate`` a second, whether or not the earlier ones are answered."""
        gaps = random.Random(seed)
        tasks = []
        due = time.perf_counter()
        while due < until:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self.one(due)))
            due += gaps.expovariate(rate)
        await asyncio.gather(*tasks)

    async def _connected(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        _, connection = await asyncio.get_running_loop().create_connection(Connection, self._host, self._port)
        return connection


def predict_requests(address: str, photos: Sequence[Path], path: str, key: str | None = None) -> Iterator[bytes]:
    """A whole multipart request for each photo, as bytes."""
    host = urlsplit(address).netloc
    more = f"X-API-Key: {key}\r\n" if key else ""
    for photo in photos:
        disposition = f'Content-Disposition: form-data; name="files"; filename="{photo.name}"'
        before = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
        body = before + photo.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{more}"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


async def measure(client: Client, options: argparse.Namespace) -> dict[str, Any]:
    """Warm up, then count."""
    warm = time.perf_counter() + options.warm_up
    await client.closed_loop(options.concurrency or 4, warm)
    client.latencies.clear()
    client.statuses.clear()
    started, cpu = time.perf_counter(), time.process_time()
    if options.rate:
        await client.open_loop(options.rate, started + options.seconds)
    else:
        await client.closed_loop(options.concurrency, started + options.seconds)
    return {
        "seconds": time.perf_counter() - started,
        "client_cpu_seconds": time.process_time() - cpu,
        "statuses": dict(client.statuses),
        "latencies": client.latencies,
        "labels": len(client.labels),
    }


def main() -> None:
    """Run one measurement and write its report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--path", default="/v1/predict")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the photo to begin with, counted round and round")
    parser.add_argument("--concurrency", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--key")
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    photos = list_photos(options.photos)[: options.count]
    begin = options.first % max(1, len(photos))
    photos = [*photos[begin:], *photos[:begin]]
    client = Client(options.address, list(predict_requests(options.address, photos, options.path, options.key)))
    found = asyncio.run(measure(client, options))
    found["client_all_cpu_seconds"] = time.process_time()
    options.report.write_text(json.dumps(found))


if __name__ == "__main__":
    main()

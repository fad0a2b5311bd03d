"""Feed damaged requests to a real server: ``python tests/fuzz/fuzz_serving.py --count 200000 --seed 1``.

Bodies (multipart, a photo by itself, the Open Inference Protocol as JSON and binary) are damaged and sent under a right
head; one case in twenty damages the head as well. What must come back is an answer below 500, or, where the head is
broken, the end of the connection, within ``PATIENCE`` seconds. Afterwards the server must be well.

All are sent twice, and the server must not be larger the second time: the rare photos that declare many pixels make it
grow to what the largest takes, once; what is kept of each request would add up. Compared is the least memory of many
looks in the last fifth of each round, because such a photo takes tens of MB for a moment.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "src")) if path not in sys.path]

from tests.e2e.serving import Server
from tests.fuzz.mutations import mutate
from tests.support.tiny_bundle import write_tiny_bundle
from tests.unit.imaging.drawing import corpus

PATIENCE = 20.0
LOOK = 20  # cases from one look at memory to the next
INFER = "/v2/models/tiny/infer"


@dataclass
class Tally:
    """What came of the cases: statuses, a line for each failure, and the server's memory (MB) now and then."""

    statuses: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


def _part(name: str, photo: bytes) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return head.encode() + photo + b"\r\n"


def seeds() -> list[tuple[str, list[str], bytes]]:
    """Whole requests: path, header lines, body."""
    photos = [data for data in corpus().values() if len(data) < 20_000][:8]
    parts = b"".join(_part(f"{number}.jpg", photo) for number, photo in enumerate(photos[:3]))
    option = b'--x\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n3\r\n'
    form = ["Content-Type: multipart/form-data; boundary=x"]
    text = [base64.b64encode(photo).decode() for photo in photos[:2]]
    tensor = {"name": "photos", "shape": [2], "datatype": "BYTES", "data": text}
    asked = json.dumps({"id": "1", "inputs": [tensor], "outputs": [{"name": "label"}]}).encode()
    elements = b"".join(struct.pack("<I", len(photo)) + photo for photo in photos[:2])
    head = json.dumps({"inputs": [tensor | {"data": [], "parameters": {"binary_data_size": len(elements)}}]}).encode()
    return [
        ("/v1/predict", form, option + parts + b"--x--\r\n"),
        ("/v1/predict?top_k=2", form, parts + option + b"--x--\r\n"),
        *[("/v1/predict?heatmap=true", ["Content-Type: image/jpeg"], photo) for photo in photos[:4]],
        (INFER, ["Content-Type: application/json"], asked),
        (INFER, [f"Inference-Header-Content-Length: {len(head)}"], head + elements),
    ]


def case(known: Sequence[tuple[str, list[str], bytes]], seed: int, number: int) -> tuple[bytes, bool]:
    """A damaged request, and whether its head is damaged too."""
    rng = random.Random(f"{seed} {number} head")
    path, headers, whole = known[number % len(known)]
    body = mutate([whole], seed, number)
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    request = "\r\n".join([*lines, "", ""]).encode() + body
    if rng.random() < 0.05:
        head = request[: len(request) - len(body)]
        return mutate([head], seed, number) + body, True
    return request, False


async def send(port: int, request: bytes) -> str:
    """The answer's status, or what happened instead."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(PATIENCE):
            writer.write(request)
            try:
                await writer.drain()
                line = await reader.readline()
            except ConnectionError:
                return "closed"
            if not line:
                return "closed"
            return line.split(b" ")[1].decode() if line.startswith(b"HTTP/1.1 ") else f"odd: {line[:40]!r}"
    except TimeoutError:
        return "no answer"
    finally:
        writer.close()


async def run(port: int, process: psutil.Process, options: argparse.Namespace) -> Tally:
    """Send every case, some at a time."""

    def look() -> float:
        return process.memory_info().rss / 1e6

    known, tally = seeds(), Tally(memory=[look()])
    numbers = iter(range(options.count))

    async def visitor() -> None:
        for number in numbers:
            request, broken = case(known, options.seed, number)
            status = await send(port, request)
            tally.statuses[status] += 1
            if number % LOOK == 0:
                tally.memory.append(look())
            fine = status in {"200", "307", "400", "404", "405", "408", "413", "415", "422", "431"}
            if not fine and not (broken and status == "closed"):
                tally.failures.append(f"case {number}: {status}")

    await asyncio.gather(*(visitor() for _ in range(options.concurrency)))
    return tally


def fuzz(options: argparse.Namespace) -> tuple[Tally, bool]:
    """The whole run; whether it passed."""
    with tempfile.TemporaryDirectory() as name:
        bundle = write_tiny_bundle(Path(name) / "tiny")
        bounds = ("--head-timeout", "1", "--body-timeout", "2", "--max-request-bytes", "200000")
        server = Server(
            "--no-page", "--model", str(bundle), "--engine", "onnxruntime", *bounds, folder=Path(name), name="serve"
        )
        try:
            port = server.port
            process = psutil.Process(server.process.pid)
            tally, again = (asyncio.run(run(port, process, options)) for _ in range(2))
            tally.failures += again.failures
            before, after = (min(memory[-max(1, len(memory) // 5) :]) for memory in (tally.memory, again.memory))
            _check_health(server.address, tally)
            if after > before + options.growth_mb:
                tally.failures.append(f"memory grew from {before:.0f} to {after:.0f} MB")
            if len(server.lines) > 1:
                tally.failures.append(f"it complained: {server.output[:2000]}")
        finally:
            server.kill()
    print(f"{dict(tally.statuses.most_common())}; memory {before:.0f} to {after:.0f} MB")
    return tally, not tally.failures


def _check_health(address: str, tally: Tally) -> None:
    metrics = httpx.get(f"{address}/metrics").text
    for line in ("animals_queue_depth 0.0", "animals_http_requests_in_progress 1.0"):
        if line not in metrics:
            tally.failures.append(f"afterwards not: {line}")


def parse(words: Sequence[str] | None = None) -> Any:
    """Options from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--growth-mb", type=float, default=20.0)
    return parser.parse_args(words)


if __name__ == "__main__":
    total, passed = fuzz(parse())
    print("\n".join(total.failures[:50]))
    sys.exit(not passed)

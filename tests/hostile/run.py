"""A server among hostile clients, with honest ones beside them: ``python -m tests.hostile.run --minutes 5``.

First the honest clients are alone; then the attackers come, more of them than the server takes connections; then they
go. What must hold: no honest request fails; the slowest hundredth of the honest ones takes at most three times what it
took before; the server's memory stays under its limit; when all are gone it holds the sockets, files and threads that
it held before. A table says what was seen.

Attackers and clients share the processors with the server here, which they do not when they are real. ``--elsewhere``
lets the attackers attack a second server beside the first: what the honest clients of the first one see then is what
the machine does to them, and not the server.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

from tests.e2e.serving import Server, wait_for
from tests.hostile import bombs
from tests.hostile.honest import Seen, visit
from tests.hostile.memory_limit import limited
from tests.hostile.routes import routes
from tests.support.process_memory import Peak, family
from tests.support.tiny_bundle import write_tiny_bundle

MIB = 1 << 20
# As in "at most three times"; and less than this is no matter of the server's.
FACTOR, NEVER_MIND = 3.0, 0.05


@dataclass
class Report:
    """What was seen."""

    before: Seen
    during: Seen
    attacks: dict[str, int]
    limit: str
    peak: int
    left: dict[str, tuple[int, int]]
    complaints: list[str]
    failures: list[str] = field(default_factory=list)

    def judge(self, options: argparse.Namespace) -> None:
        """Say what does not hold."""
        self.failures += [f"alone: {line}" for line in self.before.failures]
        self.failures += [f"attacked: {line}" for line in self.during.failures]
        for kind in self.during.kinds:
            was, is_now = (seen.percentile(kind, 0.99) for seen in (self.before, self.during))
            if not options.untimed and is_now > max(FACTOR * was, NEVER_MIND):
                self.failures.append(f"{kind}: p99 went from {1e3 * was:.0f} to {1e3 * is_now:.0f} ms")
        if self.peak > options.memory * MIB:
            self.failures.append(f"memory: {self.peak >> 20} MiB, and {options.memory} are allowed")
        self.failures += [f"{what}: {was} before, {now} after" for what, (was, now) in self.left.items() if now > was]
        self.failures += [f"it complained: {line}" for line in self.complaints]

    def table(self) -> str:
        """For people."""
        lines = [
            "| honest requests | | answered | failed | p50 ms | p99 ms | slowest ms |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, seen in (("alone", self.before), ("attacked", self.during)):
            for kind in seen.kinds:
                times = [1e3 * seen.percentile(kind, share) for share in (0.5, 0.99, 1.0)]
                failed = sum(line.startswith(f"{kind}:") for line in seen.failures)
                cells = [kind, name, len(seen.seconds[kind]), failed, *(f"{value:.0f}" for value in times)]
                lines.append("| " + " | ".join(map(str, cells)) + " |")
        lines += ["", "| attack | times |", "|---|---|"]
        lines += [f"| {name} | {count} |" for name, count in sorted(self.attacks.items())]
        lines += ["", f"memory: at most {self.peak >> 20} MiB ({self.limit})"]
        lines += [f"{what}: {was} before, {now} after" for what, (was, now) in self.left.items()]
        return "\n".join(lines)


def photo() -> bytes:
    """An honest one."""
    buffer = io.BytesIO()
    Image.effect_noise((640, 480), 60).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def prepare(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Write the bombs; what the attackers are told."""
    plan: dict[str, Any] = {"holders": options.holders, "some": options.some, "only": options.only}
    made = {"photos": bombs.photos(options.pixels), "texts": bombs.texts(options.text_bytes)}
    for name, contents in made.items():
        place = folder / name
        place.mkdir()
        plan[name] = str(place)
        for file, data in contents:
            (place / file).write_bytes(data)
    plan["routes"] = routes(folder / "routes-log")
    return plan


def holdings(server: psutil.Process, temporary: Path) -> dict[str, int]:
    """What the server has open."""
    found = {"processes": 0, "descriptors": 0, "sockets": 0}
    for process in family(server):
        with suppress(psutil.NoSuchProcess):
            connections = [link for link in process.net_connections("tcp") if link.status != psutil.CONN_LISTEN]
            # Of the log's database as many are open as were asked at once; its pool has a bound of its own.
            pooled = sum(".db" in Path(file.path).name for file in process.open_files())
            found["descriptors"] += process.num_fds() - pooled
            found["sockets"] += len(connections)
            found["processes"] += 1
    return found | {"files in its folder": sum(path.is_file() for path in temporary.rglob("*"))}


async def attacked(
    server: Server, port: int, plan: dict[str, Any], options: argparse.Namespace
) -> tuple[Seen, dict[str, int]]:
    """Honest clients of a server while others attack a port."""
    # The attackers' own work is done elsewhere when it is real; here they share the processors, and have what is left.
    arguments = ("nice", "-n", "19", sys.executable, "-m", "tests.hostile.attacks", str(port))
    attackers = await asyncio.create_subprocess_exec(
        *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=16 * MIB
    )
    assert attackers.stdin is not None
    attackers.stdin.write(json.dumps(plan).encode() + b"\n")
    try:
        seen = await visit(server.address, photo(), options.seconds)
    finally:
        attackers.stdin.close()  # which is the word to stop
        output, _ = await attackers.communicate()
    return seen, json.loads(output)


def run(options: argparse.Namespace) -> Report:
    """The whole run."""
    with tempfile.TemporaryDirectory(prefix="animals-hostile-") as name:
        folder = Path(name)
        plan = prepare(folder, options)
        arguments = _arguments(folder, options)
        with ExitStack() as stack:
            server = _started(stack, arguments, folder / "server")
            victim = _started(stack, arguments, folder / "victim") if options.elsewhere else server
            attacked_ = psutil.Process(victim.process.pid)
            limit = stack.enter_context(limited(attacked_, options.memory * MIB))
            peak = stack.enter_context(Peak(attacked_))
            return _run(server, victim, plan, (limit, peak), options)


def _started(stack: ExitStack, arguments: Sequence[str], folder: Path) -> Server:
    folder.mkdir()
    server = Server(*arguments, folder=folder, name="serve")
    stack.callback(server.kill)
    return server


def _run(
    server: Server, victim: Server, plan: dict[str, Any], memory: tuple[str, Peak], options: argparse.Namespace
) -> Report:
    process = psutil.Process(server.process.pid)
    address = server.address
    for _ in range(4 * options.workers):  # each with connections of its own, which workers share
        asyncio.run(warm_up(address))
    before = asyncio.run(visit(address, photo(), options.alone))
    first = _settled(server, lambda: holdings(process, server.folder))
    during, attacks = asyncio.run(attacked(server, victim.port, plan, options))
    # A request is half there for at most the time that a body has; its connection may linger.
    last = _back_to(first, lambda: holdings(process, server.folder), options.patience)
    left = {what: (first[what], last[what]) for what in first}
    limit, peak = memory
    report = Report(before, during, attacks, limit, peak.bytes, left, server.lines[1:])
    report.judge(options)
    return report


async def warm_up(address: str) -> None:
    """Have everything used once, which opens files that stay open."""
    paths = ("/v1/review", "/v1/monitor", "/openapi.json", "/metrics", "/docs", "/monitor")
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        assert (await client.post("/v1/predict", files={"files": photo()})).status_code == 200
        answers = await asyncio.gather(*(client.get(path) for path in paths * 4))
    assert {answer.status_code for answer in answers} == {200}


def _settled(server: Server, look: Callable[[], dict[str, int]]) -> dict[str, int]:
    return wait_for(lambda: None if look()["sockets"] else look(), "quiet", lambda: server.output, seconds=100)


def _back_to(first: dict[str, int], look: Callable[[], dict[str, int]], patience: float) -> dict[str, int]:
    until = time.monotonic() + patience
    found = look()
    while any(found[what] > was for what, was in first.items()) and time.monotonic() < until:
        time.sleep(0.1)
        found = look()
    return found


def _arguments(folder: Path, options: argparse.Namespace) -> Sequence[str]:
    bundle = write_tiny_bundle(folder / "tiny")
    bounds = ("--max-pixels", str(options.pixels), "--max-connections", str(options.connections // options.workers))
    workers = ("--workers", str(options.workers)) if options.workers > 1 else ()
    model = ("--model", str(bundle), "--engine", "onnxruntime")
    return ("--no-page", "--prediction-log", *model, *workers, *bounds, *options.more)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Options from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--alone", type=float, default=30.0, help="seconds for the honest clients without the others")
    parser.add_argument("--holders", type=int, default=2000, help="connections that only wait")
    parser.add_argument("--some", type=int, default=100, help="half heads; others are made from it")
    parser.add_argument("--connections", type=int, default=800, help="how many the server takes, all workers together")
    parser.add_argument("--workers", type=int, default=1, help="of the server")
    parser.add_argument("--pixels", type=int, default=100_000_000, help="of each decompression bomb, and at most")
    parser.add_argument("--text-bytes", type=int, default=31 * bombs.MEGABYTE)
    parser.add_argument("--memory", type=int, default=2048, help="MiB that the server may take")
    parser.add_argument("--patience", type=float, default=100.0, help="seconds until all must be as before")
    parser.add_argument("--only", nargs="*", default=[], help="attacks to make, such as half_body; all by default")
    parser.add_argument("--elsewhere", action="store_true", help="attack another server than that of the honest ones")
    parser.add_argument("--untimed", action="store_true", help="judge no times")
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="options for the server")
    options = parser.parse_args(words)
    options.seconds = 60 * options.minutes
    return options


if __name__ == "__main__":
    report = run(parse())
    print(report.table())
    print("\n".join(report.failures[:200]) or "all of it held")
    sys.exit(bool(report.failures))

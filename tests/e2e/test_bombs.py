"""A real server in a container's memory: 64 photos at once that take as much as their format allows."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.e2e.serving import Server, wait_for
from tests.support.bombs import bombs
from tests.support.process_memory import Peak

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")]
MIB = 1 << 20
LIMIT = 2048 * MIB
BUSY = {"urn:animals:problem:busy", "urn:animals:problem:timed-out"}


@contextmanager
def container(limit: int) -> Iterator[Path | None]:
    """A memory cgroup below this process's own, v1 or v2; ``None`` where none can be made."""
    group = next((made for made in map(partial(_made, limit), _places()) if made is not None), None)
    try:
        yield group
    finally:
        if group is not None:
            wait_for(partial(_removed, group), "the end of the cgroup", lambda: str(group))


def _places() -> Iterator[tuple[Path, str]]:
    """Folders of this process's memory cgroups, and the file that holds the limit in each."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield Path("/sys/fs/cgroup/memory") / path.lstrip("/"), "memory.limit_in_bytes"
        elif number == "0":
            yield Path("/sys/fs/cgroup") / path.lstrip("/"), "memory.max"


def _made(limit: int, place: tuple[Path, str]) -> Path | None:
    group = place[0] / f"animals-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return None
    with suppress(OSError):
        if (group / place[1]).exists():
            (group / place[1]).write_text(str(limit))
            return group
    group.rmdir()
    return None


def _removed(group: Path) -> bool | None:
    try:
        group.rmdir()
    except OSError:
        return None
    return True


def status(server: Server, name: str) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


def sent(port: int, name: str, data: bytes) -> str:
    """What a client hears of one photo: its name, why it has none, or the problem's type."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=150)
    try:
        connection.request("POST", "/v1/predict", data, {"Content-Type": "image/*"})
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return next((entry["error"] or "named" for entry in answer.get("predictions", ())), answer.get("type", ""))


def storm(server: Server, photos: dict[str, bytes], count: int) -> dict[str, Counter[str]]:
    """Each photo ``count`` times, all of them at once; what was heard."""
    jobs = [(name, data) for _ in range(count) for name, data in photos.items()]
    heard: dict[str, Counter[str]] = {name: Counter() for name in photos}
    with ThreadPoolExecutor(64) as pool:
        for (name, _), said in zip(jobs, pool.map(lambda job: sent(server.port, *job), jobs), strict=True):
            heard[name][said] += 1
    return heard


@contextmanager
def limited(tmp_path: Path, *options: str, limit: int = LIMIT) -> Iterator[tuple[Server, Peak]]:
    with container(limit) as group:
        if group is None:  # the server is told instead of finding out
            options = (*options, "--max-decode-bytes", str(832 * MIB), "--max-memory-bytes", str(416 * MIB))
        server = Server("--no-page", "--threads", "2", *options, folder=tmp_path, name="serve", group=group)
        try:
            assert server.address
            with Peak(psutil.Process(server.process.pid)) as peak:
                yield server, peak
            assert server.process.poll() is None, server.output
            assert server.get("/healthz")[0] == 200
            assert status(server, "VmHWM") < limit
            assert peak.bytes < limit, "with those that decode beside it"
            server.stop(signal.SIGTERM)
            assert server.process.returncode == 0
        finally:
            server.kill()


def check(heard: dict[str, Counter[str]]) -> None:
    for name, said in heard.items():
        for words in said:
            assert words == "named" or words in BUSY or words.startswith(("takes up to", "waited")), (name, words)


@pytest.mark.timeout(170)
def test_photos_that_together_take_more_than_there_is(tmp_path: Path) -> None:
    """Each alone fits, or is refused; without a budget, the two threads would take 300 MB."""
    drawn = bombs(3000)
    names = ("webp lossless, alpha", "png, one colour transparent", "gif, disposed", "jpeg, progressive, cmyk")
    photos = {name: drawn[name]() for name in names}
    folder = tmp_path / "server"
    folder.mkdir()
    patient = ("--max-wait", "100", "--request-timeout", "140")
    with limited(folder, "--max-decode-bytes", str(120 * MIB), *patient) as (server, _):
        before = status(server, "VmHWM")
        heard = storm(server, photos, 2)
        assert status(server, "VmHWM") - before < 140 * MIB
    check(heard)
    assert all(said.startswith("takes up to 1") for said in heard["webp lossless, alpha"])
    assert all(heard[name]["named"] == 2 for name in names[1:])


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # while they are drawn
@pytest.mark.timeout(3600)
def test_64_of_every_format_at_the_pixel_limit(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    with limited(folder) as (server, peak):
        for name, draw in bombs(10_000).items():
            heard = storm(server, {name: draw()}, 64)
            print(name, dict(heard[name]), f"peak {peak.bytes / 1e6:.0f} MB", flush=True)
            check(heard)
            assert server.process.poll() is None, server.output

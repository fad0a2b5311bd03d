"""Promotions and rollbacks under load, with damaged files in between and a stop at the end; no answer may be wrong.

    python tests/soak/promotions.py --changes 50

Two bundles that give different answers to the same photos are versions 1 and 2 of one registered model, whose alias
``production`` a server follows. Visitors ask all the time, and check of every answer that the label is the one which
the version that it names gives, and that one response is of one version. Meanwhile:

1. The alias goes forward and back, so many times.
2. After half of the changes, the files of the version that answers are damaged, then those of the other one: the
   server must go on, ``promote`` must refuse, and where the alias is moved all the same, the server must refuse, until
   the file is repaired.
3. At the end the server gets SIGTERM while requests are on their way.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

from animal_classification import Classifier
from animal_classification import bundle as bundles
from animal_classification.errors import BundleInvalidError
from animal_classification.registry import Registry, promote, register, resolve_model, rollback
from animal_classification.registry.model_version import PRODUCTION, ModelReference
from tests.e2e.serving import Server
from tests.support.tiny_bundle import COLOURS, solid, write_tiny_bundle

NAME = "zoo"
# Changes after which memory is looked at first: engines and allocators take theirs at the beginning.
SETTLING = 6
DEADLINE = 60.0
REST = 2.0


def encoded(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def tiny_pair(folder: Path) -> list[Path]:
    names = [("cat", "dog", "lion"), ("lion", "cat", "dog")]
    return [write_tiny_bundle(folder / f"bundle-{number}", names=order) for number, order in enumerate(names)]


def photos_pair(folder: Path) -> list[Path]:
    """The built-in model, and one that calls everything by the name of its neighbour."""
    original = bundles.load("photos")
    labels = original.info.labels
    turned = original.info.model_copy(update={"labels": (*labels[1:], labels[0]), "version": "2"})
    made = []
    for number, info in enumerate((original.info, turned)):
        content = {name: original.path / name for name in info.files}
        bundles.write(folder / f"bundle-{number}", info, content)
        made.append(folder / f"bundle-{number}")
    return made


PAIRS: dict[str, Callable[[Path], list[Path]]] = {"tiny": tiny_pair, "photos": photos_pair}


@dataclass
class Tally:
    """What came of it."""

    answered: Counter[str] = field(default_factory=Counter)  # by version
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    takeovers: list[float] = field(default_factory=list)  # seconds from a change to the first answer of the new version
    wrong: int = 0  # answers, and whatever else a visitor saw
    refused: int = 0  # by a server that is gone
    memory: list[float] = field(default_factory=list)  # MB at rest, near the beginning and at the end
    most_memory: float = 0.0  # MB, under load
    stop_seconds: float = 0.0

    def fail(self, what: str) -> None:
        self.failures.append(what)

    @property
    def growth(self) -> float:
        """MB, from when the memory has settled to the end."""
        return self.memory[-1] - self.memory[0] if self.memory else 0.0


class Soak:
    """One run over a server.

    Args:
        server: Running, or starting.
        expected: For each version the labels of ``photos``, in order.
        photos: Sent together, in this order.
        uri: Of the registry.
        options: From the command line.
    """

    def __init__(
        self,
        server: Server,
        expected: dict[str, list[str]],
        photos: Sequence[bytes],
        uri: str,
        options: argparse.Namespace,
    ) -> None:
        self.tally = Tally()
        self._server = server
        self._address = server.address  # waits until it is ready
        self._expected = expected
        self._files = [("files", (f"{number}.png", photo)) for number, photo in enumerate(photos)]
        self._uri = uri
        self._workers: int = options.workers
        # With one worker, and in the long form: version 1 is in production after an even number of changes.
        self._measures = options.workers == 1 and options.changes > SETTLING and options.changes % 2 == 0
        self._open = asyncio.Event()
        self._open.set()
        self._asking = 0
        self._settled: str | None = None  # every request that begins now must be answered by this version
        self._run = 0  # answers since another version came last
        self._last = ""
        self._stopping = False

    async def run(self, changes: int, concurrency: int) -> None:
        """Everything, in order."""
        async with asyncio.TaskGroup() as group:
            visitors = [group.create_task(self._visit()) for _ in range(concurrency)]
            try:
                await self._until("1")
                for number in range(changes):
                    await self._change(number)
                    if number == changes // 2:
                        await self._damage()
                    if self._measures and number in (SETTLING - 1, changes - 1):
                        await self._at_rest()
                await self._stop()
            finally:
                self._stopping = True
                for visitor in visitors:
                    if sys.exc_info()[0] is not None:
                        visitor.cancel()
        if self._server.process.returncode != 0:
            self.tally.fail(f"the server ended with {self._server.process.returncode}")

    async def _visit(self) -> None:
        async with httpx.AsyncClient(base_url=self._address, timeout=60) as client:
            while True:
                await self._open.wait()
                settled, started = self._settled, time.perf_counter()
                self._asking += 1
                try:
                    response = await client.post("/v1/predict", files=self._files)
                except httpx.ConnectError:
                    self.tally.refused += 1
                    if not self._stopping:
                        self.tally.fail("connection refused")
                    return
                except httpx.TransportError as error:
                    self.tally.fail(repr(error))
                    return
                finally:
                    self._asking -= 1
                self.tally.seconds.append(time.perf_counter() - started)
                self._check(response, settled if settled == self._settled else None)

    def _check(self, response: httpx.Response, settled: str | None) -> None:
        if response.status_code != 200:
            self.tally.fail(f"{response.status_code}: {response.text[:200]}")
            return
        entries = response.json()["predictions"]
        versions = {entry["version"] for entry in entries}
        version = entries[0]["version"]
        self.tally.answered[version] += 1
        self._run = self._run + 1 if version == self._last else 1
        self._last = version
        if len(versions) != 1:
            self.tally.fail(f"one response of versions {versions}")
        elif [entry["label"] for entry in entries] != self._expected.get(version):
            self.tally.fail(f"version {version} answered {[entry['label'] for entry in entries]}")
        elif settled is not None and version != settled:
            self.tally.fail(f"version {version} answered after {settled} had taken over")

    async def _until(self, version: str, answers: int = 16) -> None:
        """Wait until so many answers in a row are of a version."""
        async with asyncio.timeout(DEADLINE):
            while self._last != version or self._run < answers * self._workers:
                await asyncio.sleep(0.005)
        if self._workers == 1:
            self._settled = version

    async def _change(self, number: int) -> None:
        self._settled = None
        if number % 2 == 0:
            changed = await asyncio.to_thread(promote, f"{NAME}/2", uri=self._uri)
        else:
            changed = await asyncio.to_thread(rollback, NAME, uri=self._uri)
        started = time.perf_counter()
        version = str(changed.now.version)
        async with asyncio.timeout(DEADLINE):
            while self._last != version:
                await asyncio.sleep(0.005)
        self.tally.takeovers.append(time.perf_counter() - started)
        await self._until(version)
        self.tally.most_memory = max(self.tally.most_memory, self._memory())

    async def _damage(self) -> None:
        present = self._last
        other = "1" if present == "2" else "2"
        registry = await asyncio.to_thread(Registry.open, self._uri)
        place = {number: Path(resolve_model(f"models:/{NAME}/{number}", uri=self._uri)) for number in "12"}
        with damaged(place[present] / "model.onnx"):
            await self._until(present, 64)
        with damaged(place[other] / "model.onnx"):
            try:
                await asyncio.to_thread(promote, f"{NAME}/{other}", uri=self._uri)
                self.tally.fail("a damaged version was promoted")
            except BundleInvalidError:
                pass
            # Somebody moves the alias with other tools, which verify nothing.
            version = registry.find(ModelReference(NAME, version=int(other)))
            await asyncio.to_thread(registry.set_alias, version, PRODUCTION)
            async with asyncio.timeout(DEADLINE):
                while not await self._refusals():
                    await asyncio.sleep(0.05)
            await self._until(present, 64)
            self._settled = None
        await self._until(other)  # tried again, now that it is whole
        self._settled = None
        back = registry.find(ModelReference(NAME, version=int(present)))
        await asyncio.to_thread(registry.set_alias, back, PRODUCTION)
        await self._until(present)

    async def _refusals(self) -> int:
        async with httpx.AsyncClient(base_url=self._address, timeout=60) as client:
            text = (await client.get("/metrics")).text
        found = re.search(rf'animals_model_changes_total{{model="{NAME}",result="refused"}} (\S+)', text)
        return int(float(found[1])) if found else 0

    async def _stop(self) -> None:
        self._stopping = True
        started = time.perf_counter()
        self._server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self._server.process.wait, 30)
        self.tally.stop_seconds = time.perf_counter() - started

    async def _at_rest(self) -> None:
        """Let the visitors pause, change forward and back, and look at the memory: only models are in it."""
        self._open.clear()
        async with asyncio.timeout(DEADLINE):
            while self._asking:
                await asyncio.sleep(0.01)
        self._settled = None
        for version in (await asyncio.to_thread(promote, f"{NAME}/2", uri=self._uri), None):
            changed = version or await asyncio.to_thread(rollback, NAME, uri=self._uri)
            async with asyncio.timeout(DEADLINE):
                while await self._present() != str(changed.now.version):
                    await asyncio.sleep(0.05)
        await asyncio.sleep(REST)  # until what was let go has been given back
        self.tally.memory.append(self._memory())
        self._open.set()
        await self._until("1")

    async def _present(self) -> str:
        async with httpx.AsyncClient(base_url=self._address, timeout=60) as client:
            return str((await client.get(f"/v1/models/{NAME}")).json()["version"])

    def _memory(self) -> float:
        process = psutil.Process(self._server.process.pid)
        return sum(part.memory_info().rss for part in (process, *process.children(recursive=True))) / 1e6


@contextmanager
def damaged(file: Path) -> Iterator[None]:
    """A file cut short and written over, in place; whole again afterwards."""
    whole = file.read_bytes()
    with file.open("r+b") as stream:
        stream.truncate(len(whole) // 2)
        stream.write(b"\0damaged" * 64)
    try:
        yield
    finally:
        file.write_bytes(whole)


def soak(options: argparse.Namespace) -> Tally:
    """The whole run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uri = f"sqlite:///{folder / 'runs' / 'mlflow.db'}"
        pair = PAIRS[options.model](folder)
        photos = [encoded(Image.fromarray(solid(colour, size=64))) for colour in COLOURS[:3]]
        expected = {str(number): labels_of(path, photos) for number, path in enumerate(pair, 1)}
        assert expected["1"] != expected["2"]
        for path in pair:
            register(path, name=NAME, uri=uri)
        promote(f"{NAME}/1", uri=uri)
        server = Server(
            *("--no-page", "--model", f"models:/{NAME}@production", "--tracking-uri", uri),
            *("--follow", str(options.follow), "--workers", str(options.workers), "--engine", options.engine),
            folder=folder,
            name="serve",
        )
        try:
            run = Soak(server, expected, photos, uri, options)
            asyncio.run(run.run(options.changes, options.concurrency))
        finally:
            server.kill()
        tally = run.tally
        if not any("is refused" in line for line in server.lines):
            tally.fail("the log does not say that a version was refused")
        if any("Traceback" in line for line in server.lines):
            tally.fail(f"it complained: {server.output[:2000]}")
        if tally.refused != options.concurrency:
            tally.fail(f"{tally.refused} of {options.concurrency} visitors saw the end")
        tally.wrong = len(tally.failures)
        if tally.growth > options.growth_mb:
            tally.fail(f"memory grew by {tally.growth:.1f} MB")
        return tally


def labels_of(path: Path, photos: Sequence[bytes]) -> list[str]:
    """What a bundle says, clearly enough that no other order of additions says otherwise."""
    predictions = Classifier.load(path, threads=1).predict(photos)
    assert all(item.top[0].probability > 1.2 * item.top[1].probability for item in predictions), predictions
    return [item.label for item in predictions]


def told(tally: Tally) -> str:
    """The numbers."""
    seconds = sorted(tally.seconds)
    at_rest = " and ".join(f"{value:.0f}" for value in tally.memory)
    lines = [
        f"{sum(tally.answered.values())} requests answered, by version {dict(sorted(tally.answered.items()))}; "
        f"{tally.wrong} failed or wrong",
        f"{len(tally.takeovers)} changes; from a change to the first answer of the new version "
        f"{statistics.median(tally.takeovers):.2f} s, at most {max(tally.takeovers):.2f} s",
        f"latency p50 {seconds[len(seconds) // 2] * 1000:.0f} ms, "
        f"p99 {seconds[int(len(seconds) * 0.99)] * 1000:.0f} ms, at most {seconds[-1] * 1000:.0f} ms",
        f"memory at most {tally.most_memory:.0f} MB; at rest, near the beginning and at the end, {at_rest or '-'} MB",
        f"stopped {tally.stop_seconds:.2f} s after SIGTERM",
    ]
    return "\n".join(lines)


def parse(words: Sequence[str] | None = None) -> Any:
    """Options from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--model", choices=sorted(PAIRS), default="photos")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--follow", type=float, default=0.25, help="seconds between two looks of the server")
    parser.add_argument("--growth-mb", type=float, default=9.4, help="a model's size")
    return parser.parse_args(words)


if __name__ == "__main__":
    total = soak(parse())
    print(told(total))
    print("\n".join(total.failures[:50]))
    sys.exit(bool(total.failures))

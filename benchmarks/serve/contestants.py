"""Who is compared under load, and how each is started and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from animal_classification import bundle
from animal_classification.errors import AnimalsError
from benchmarks.predict.processes import CHECKOUT
from benchmarks.serve.server import Target, running

PATIENCE = 60.0  # seconds that a peer may take to answer for the first time


@dataclass(frozen=True)
class Contestant:
    """One server of the comparison.

    Attributes:
        title: Name in the table.
        module: Of ``benchmarks.serve.peers``; none for ours.
        options: What it is started with.
        path: Where it takes photos.
    """

    title: str
    module: str | None
    options: tuple[str, ...] = ()
    path: str = "/predict"

    @property
    def settings(self) -> str:
        """Its options, in words."""
        return " ".join(self.options) or "as it comes"


OURS = Contestant("animals serve", None, path="/v1/predict")
TORCH = Contestant("FastAPI + PyTorch", "fastapi_torch")
# One core to an inference, as many at once as there are cores, and the other ways that may be faster.
ONNX_RUNTIME = tuple(
    Contestant("FastAPI + ONNX Runtime", "fastapi_onnxruntime", tuple(words.split()))
    for words in ("", "--threads 1", "--threads 1 --pool 2", "--threads 1 --pool 4")
)
# A model in each of two processes: twice the memory.
ONNX_RUNTIME_TWICE = (
    Contestant("FastAPI + ONNX Runtime, 2 processes", "fastapi_onnxruntime", ("--threads", "1", "--workers", "2")),
)
LITSERVE = tuple(
    Contestant("LitServe", "with_litserve", tuple(words.split()))
    for words in ("", "--threads 1 --workers 2", "--threads 1 --workers 3")
)
BENTOML = tuple(
    Contestant("BentoML", "with_bentoml", tuple(words.split()))
    for words in ("", "--threads 1", "--threads 1 --workers 2")
)
# Ours first; of each group the fastest is shown.
GROUPS = ((OURS,), ONNX_RUNTIME, ONNX_RUNTIME_TWICE, LITSERVE, BENTOML, (TORCH,))


def find_python() -> Path:
    """The interpreter of the peers' environment.

    Raises:
        AnimalsError: It has not been made.
    """
    python = CHECKOUT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        raise AnimalsError("the servers to compare with are not installed: make peers (5 GB)")
    return python


@contextmanager
def started(contestant: Contestant, photo: Path, log: Path) -> Iterator[tuple[Target, float]]:
    """A contestant that answers, and the seconds from its start to its first answer; stopped in the end.

    Raises:
        AnimalsError: It does not answer.
    """
    began = time.perf_counter()
    if contestant.module is None:
        with running(contestant.options) as target:
            _ask(target.address + contestant.path, photo)
            yield target, time.perf_counter() - began
        return
    port = _free_port()
    python, place = find_python(), bundle.load("photos").model_path.parent
    words = ["-m", f"benchmarks.serve.peers.{contestant.module}", "--bundle", str(place), "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [str(python), *words, *contestant.options],
            cwd=CHECKOUT,
            stdout=errors,
            stderr=errors,
            env=environment,
            start_new_session=True,  # so that its workers can be ended with it
        )
    target = Target(f"http://127.0.0.1:{port}", process.pid)
    try:
        _wait(contestant, target, process, photo)
        yield target, time.perf_counter() - began
    finally:
        end(process, target.processes())


def _wait(contestant: Contestant, target: Target, process: subprocess.Popen[bytes], photo: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.HTTPError):
            _ask(target.address + contestant.path, photo)
            return
        time.sleep(0.02)
    raise AnimalsError(f"{contestant.title} ({contestant.settings}) does not answer")


def _ask(address: str, photo: Path) -> None:
    with photo.open("rb") as file:
        httpx.post(address, files={"files": (photo.name, file, "image/jpeg")}, timeout=PATIENCE).raise_for_status()


def end(process: subprocess.Popen[bytes], family: Sequence[int]) -> None:
    """Stop a peer that leads a process group, and whatever of ``family``, its processes, is left then."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(3)
    for pid in family:  # BentoML gives each worker a session of its own, and now and then one is left
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

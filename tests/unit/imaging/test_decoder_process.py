"""Photos decoded in a process of their own are what they are here, and what goes wrong there costs one photo."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from animal_classification import imaging
from animal_classification.errors import CorruptImageError, ImageError, ImageMemoryError
from animal_classification.imaging import DecodingMemory, Limits, PreprocessSpec
from animal_classification.imaging.decoder_process import DecoderProcess, DecoderProcesses
from tests.unit.imaging.drawing import encode, scene

SPEC = PreprocessSpec(size=64)


@pytest.fixture
def decoder() -> Iterator[DecoderProcess]:
    decoder = DecoderProcess()
    yield decoder
    decoder.close()


def wait_for(check: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until
        time.sleep(0.01)


def outcome(decode: Callable[[bytes], NDArray[np.uint8]], photo: bytes) -> tuple[object, ...]:
    try:
        return ("pixels", decode(photo).tobytes())
    except ImageError as error:
        return type(error), error.reason, error.where


def test_every_photo_is_what_it_is_here(decoder: DecoderProcess, drawn: dict[str, bytes]) -> None:
    limits = Limits(max_bytes=2_000_000, memory=DecodingMemory(1 << 30))
    photos = drawn | {"text": b"no photo", "cut": encode(scene(), "PNG")[:200], "large": bytes(3_000_000), "none": b""}
    for name, photo in photos.items():
        there = outcome(lambda photo: decoder.crops(photo, SPEC, limits), photo)
        assert there == outcome(lambda photo: imaging.crops(photo, SPEC, limits=limits), photo), name
    assert limits.memory is not None
    assert limits.memory.held == 0


def test_a_thumbnail_is_what_it_is_here(decoder: DecoderProcess, drawn: dict[str, bytes]) -> None:
    for name, photo in drawn.items():
        there = outcome(lambda photo: np.asarray(decoder.thumbnail(photo, 40, Limits())), photo)
        assert there == outcome(lambda photo: np.asarray(imaging.thumbnail(photo, 40)), photo), name


class Watched(DecodingMemory):
    """A memory that is told of each claim."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.claims: list[int] = []

    @contextmanager
    def claim(self, amount: int, what: str) -> Iterator[None]:
        with super().claim(amount, what):
            self.claims.append(self.held)
            yield


def test_its_memory_is_that_of_whoever_asks(decoder: DecoderProcess) -> None:
    photo = encode(scene(), "PNG")
    memory = Watched(1 << 30)
    decoder.crops(photo, SPEC, Limits(memory=memory))
    assert len(memory.claims) == 1
    assert memory.claims[0] > 1_000_000
    small = Limits(memory=DecodingMemory(1_000_000))
    with pytest.raises(ImageMemoryError, match="1 MB may be used"):
        decoder.crops(photo, SPEC, small)
    assert decoder.crops(photo, SPEC, Limits(memory=memory)).shape == (1, 64, 64, 3)


def test_a_process_that_dies_costs_one_photo(decoder: DecoderProcess) -> None:
    photo = encode(scene(), "JPEG")
    asked = threading.Event()

    class Killing(Watched):
        @contextmanager
        def claim(self, amount: int, what: str) -> Iterator[None]:
            assert decoder.process is not None
            decoder.process.kill()
            asked.set()
            with super().claim(amount, what):
                yield

    memory = Killing(1 << 30)
    with pytest.raises(CorruptImageError, match="ended the process that decoded it"):
        decoder.crops(photo, SPEC, Limits(memory=memory))
    assert asked.is_set()
    assert memory.held == 0
    assert decoder.crops(photo, SPEC, Limits()).shape == (1, 64, 64, 3)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stops a process")
def test_a_photo_that_takes_too_long_ends_alone() -> None:
    decoder = DecoderProcess(patience=0.5)
    photo = encode(scene(), "JPEG")
    decoder.crops(photo, SPEC, Limits())
    assert decoder.process is not None
    os.kill(decoder.process.pid, signal.SIGSTOP)
    with pytest.raises(CorruptImageError, match="more than 0 s to decode"):
        decoder.crops(photo, SPEC, Limits())
    assert DecoderProcess().crops(photo, SPEC, Limits()).shape == (1, 64, 64, 3)
    decoder.close()


def test_it_ends_when_idle_and_comes_again() -> None:
    decoder = DecoderProcess(idle=0.2)
    photo = encode(scene(), "JPEG")
    decoder.crops(photo, SPEC, Limits())
    first = decoder.process
    assert first is not None
    wait_for(lambda: first.returncode is not None)
    assert decoder.crops(photo, SPEC, Limits()).shape == (1, 64, 64, 3)
    decoder.close()
    assert decoder.process is None
    with pytest.raises(CorruptImageError, match="the server stops"):
        decoder.crops(photo, SPEC, Limits())


def test_it_does_not_outlive_whoever_asks() -> None:
    script = (
        "import time\n"
        "from animal_classification.imaging import Limits, PreprocessSpec\n"
        "from animal_classification.imaging.decoder_process import DecoderProcess\n"
        "decoder = DecoderProcess()\n"
        "try: decoder.crops(b'no photo', PreprocessSpec(), Limits())\n"
        "except Exception: print(decoder.process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    assert "decoder_process" in " ".join(child.cmdline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.skipif(not hasattr(os, "getsid"), reason="has no sessions")
def test_it_steps_back_behind_whoever_asks(decoder: DecoderProcess) -> None:
    decoder.crops(encode(scene(), "JPEG"), SPEC, Limits())
    assert decoder.process is not None
    pid = decoder.process.pid
    assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getsid(pid) == os.getsid(0)  # Linux gives each session the same share, however nice its processes are
    assert os.getpgid(pid) != os.getpgid(0)  # Ctrl-C is for whoever asks


def test_several_work_side_by_side() -> None:
    pool = DecoderProcesses(2)
    together = threading.Barrier(2, timeout=20)

    class Meeting(Watched):
        @contextmanager
        def claim(self, amount: int, what: str) -> Iterator[None]:
            together.wait()
            with super().claim(amount, what):
                yield

    limits = Limits(memory=Meeting(1 << 30))
    photo = encode(scene(), "JPEG")
    threads = [threading.Thread(target=pool.crops, args=(photo, SPEC, limits)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not together.broken
    pool.close()


def test_an_answer_that_was_broken_off_is_not_taken_for_that_of_the_next_photo(decoder: DecoderProcess) -> None:
    class Broken(Watched):
        @contextmanager
        def claim(self, amount: int, what: str) -> Iterator[None]:
            if amount:
                raise RuntimeError("a fault of ours")
            yield

    photo = encode(scene(), "JPEG")
    with pytest.raises(RuntimeError, match="a fault of ours"):
        decoder.crops(photo, SPEC, Limits(memory=Broken(1 << 30)))
    assert decoder.crops(photo, SPEC, Limits()).tobytes() == imaging.crops(photo, SPEC).tobytes()


def test_where_no_process_starts_the_photo_fails_with_the_reason(
    decoder: DecoderProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ImageMemoryError, match="no process starts for it"):
        decoder.crops(encode(scene(), "JPEG"), SPEC, Limits())

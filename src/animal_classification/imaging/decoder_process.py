"""Decodes large photos in a process of its own, so that nothing else in this one waits.

A decoder and its thread share the interpreter's lock with everybody: allocating and freeing some hundred megabytes of
pixels held a server up for 50 to 250 ms a photo (measured, Pillow 12.3). What a decoder breaks is gone with its
process, too. The two speak JSON, a line each, with the photo behind the request and the pixels behind the answer.
Memory is claimed from the budget of the one that asks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from queue import LifoQueue
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from animal_classification.common.allocator import give_back
from animal_classification.errors import (
    CorruptImageError,
    ImageError,
    ImageMemoryError,
    ImageTooLargeError,
    UnsupportedImageError,
)
from animal_classification.imaging.decoding import crops, thumbnail
from animal_classification.imaging.memory_budget import LARGE, DecodingMemory
from animal_classification.imaging.spec import Limits, PreprocessSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

IDLE = 30.0  # seconds without a photo after which the process ends; to start it takes a third of a second
PATIENCE = 120.0  # seconds that one photo may take
_NICE = 10  # steps below the process that asks, whose own photos are small and are waited for
_REFUSALS = {
    kind.__name__: kind for kind in (CorruptImageError, ImageMemoryError, ImageTooLargeError, UnsupportedImageError)
}


class DecoderProcess:
    """A process that decodes photos, one at a time. It starts with the first photo, and again when it was lost.

    It ends when it has been idle, when it is closed, and when the process that asks has died.

    Args:
        idle: Seconds without a photo after which it ends.
        patience: Seconds that a photo may take.
    """

    def __init__(self, *, idle: float = IDLE, patience: float = PATIENCE) -> None:
        self._idle = idle
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._ending: threading.Timer | None = None
        self._closed = False

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The process, while there is one."""
        return self._process

    def crops(self, photo: bytes, spec: PreprocessSpec, limits: Limits) -> NDArray[np.uint8]:
        """As :func:`animal_classification.imaging.crops`; from any thread, one after the other.

        Raises:
            ImageError: The photo cannot be used, or its decoding broke or took too long.
        """
        return self._ask(photo, {"crops": asdict(spec)}, limits)

    def thumbnail(self, photo: bytes, side: int, limits: Limits) -> Image.Image:
        """As :func:`animal_classification.imaging.thumbnail`; from any thread, one after the other.

        Raises:
            ImageError: The photo cannot be used, or its decoding broke or took too long.
        """
        return Image.fromarray(self._ask(photo, {"thumbnail": side}, limits))

    def _ask(self, photo: bytes, wanted: dict[str, Any], limits: Limits) -> NDArray[np.uint8]:
        with self._turn:
            if self._ending is not None:
                self._ending.cancel()
            if self._closed:
                raise CorruptImageError("was not decoded: the server stops", "bytes")
            process = self._running()
            late = threading.Timer(self._patience, process.kill)
            late.daemon = True
            late.start()
            try:
                return _asked(process, photo, wanted, limits)
            except ImageError:
                raise
            except (OSError, EOFError) as error:
                self._end(process)
                raise CorruptImageError(self._loss(process, late), "bytes") from error
            except BaseException:  # half an answer may be on its way: it would be taken for the next photo's
                self._end(process)
                raise
            finally:
                late.cancel()
                self._end_when_idle()

    def close(self) -> None:
        """End the process now, whatever it does."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()
        with self._turn:
            if self._ending is not None:
                self._ending.cancel()
            if self._process is not None:
                self._end(self._process)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._end(self._process)
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "animal_classification.imaging.decoder_process"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    # Ctrl-C is for the process that asks. In a session of its own, Linux would give this one as much
                    # of the processors as that one has, however nice it is (autogroup).
                    process_group=0,
                )
            except OSError as error:
                reason = f"cannot be decoded now: no process starts for it ({error.strerror}); send it again later"
                raise ImageMemoryError(reason, "bytes") from error
        return self._process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """With the turn."""
        self._process = None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent is of no use
                    pipe.close()
        process.wait()

    def _end_when_idle(self) -> None:
        if self._process is None:
            return
        if self._closed:
            self._end(self._process)
            return
        self._ending = threading.Timer(self._idle, self._end_idle)
        self._ending.daemon = True
        self._ending.start()

    def _end_idle(self) -> None:
        with self._turn:
            if self._ending is threading.current_thread() and self._process is not None:
                self._end(self._process)

    def _loss(self, process: subprocess.Popen[bytes], late: threading.Timer) -> str:
        if late.finished.is_set() and not self._closed:
            return f"took more than {self._patience:.0f} s to decode: make it smaller or save it as JPEG"
        return f"ended the process that decoded it (status {process.returncode}): save it again, or as JPEG"


class DecoderProcesses:
    """Some of them, each of which decodes a photo at a time; the one that was used last is used again.

    Args:
        count: How many, at least 1.
    """

    def __init__(self, count: int) -> None:
        self._all = [DecoderProcess() for _ in range(count)]
        self._free: LifoQueue[DecoderProcess] = LifoQueue()
        for process in self._all:
            self._free.put(process)

    def crops(self, photo: bytes, spec: PreprocessSpec, limits: Limits) -> NDArray[np.uint8]:
        """As :meth:`DecoderProcess.crops`, by one that is free; waits for one."""
        process = self._free.get()
        try:
            return process.crops(photo, spec, limits)
        finally:
            self._free.put(process)

    def close(self) -> None:
        """End all of them now."""
        for process in self._all:
            process.close()


def _asked(process: subprocess.Popen[bytes], photo: bytes, wanted: dict[str, Any], limits: Limits) -> NDArray[np.uint8]:
    assert process.stdin is not None
    assert process.stdout is not None
    bounds = {"max_bytes": limits.max_bytes, "max_pixels": limits.max_pixels}
    memory = None if limits.memory is None else limits.memory.limit
    _send(process.stdin, {"wanted": wanted, "limits": bounds, "memory": memory, "length": len(photo)}, photo)
    with ExitStack() as held:
        answer = _receive(process.stdout)
        while "claim" in answer:
            assert limits.memory is not None
            try:
                held.enter_context(limits.memory.claim(answer["claim"], answer["what"]))
            except ImageMemoryError as error:
                _send(process.stdin, {"refused": error.reason})
            else:
                _send(process.stdin, {})
            answer = _receive(process.stdout)
        if "refused" in answer:
            raise _REFUSALS[answer["kind"]](answer["refused"], "bytes")
        shape = tuple(answer["shape"])
        return np.frombuffer(_exactly(process.stdout, int(np.prod(shape))), np.uint8).reshape(shape).copy()


class _AskedMemory(DecodingMemory):
    """The memory of the process that asks."""

    def __init__(self, limit: int, ask: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(limit)
        self._ask = ask

    @contextmanager
    def claim(self, amount: int, what: str) -> Iterator[None]:
        answer = self._ask({"claim": amount, "what": what})
        if "refused" in answer:
            raise ImageMemoryError(answer["refused"])
        try:
            yield
        finally:
            if amount >= LARGE:
                give_back()


def main() -> None:
    """Answer requests until there are no more."""
    _step_back()
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        _send(answers, question)
        return _receive(requests)

    with suppress(EOFError, BrokenPipeError):
        while True:
            request = _receive(requests)
            photo = _exactly(requests, request["length"])
            memory = None if request["memory"] is None else _AskedMemory(request["memory"], ask)
            try:
                pixels = _made(request["wanted"], photo, Limits(**request["limits"], memory=memory))
            except ImageError as error:
                kind = next(name for name, known in _REFUSALS.items() if isinstance(error, known))
                _send(answers, {"refused": error.reason, "kind": kind})
            except MemoryError:
                reason = "takes more memory to decode than there is: make it smaller or save it as JPEG"
                _send(answers, {"refused": reason, "kind": ImageMemoryError.__name__})
            else:
                _send(answers, {"shape": pixels.shape}, pixels.tobytes())


def _made(wanted: dict[str, Any], photo: bytes, limits: Limits) -> NDArray[np.uint8]:
    if "thumbnail" in wanted:
        return np.asarray(thumbnail(photo, wanted["thumbnail"], limits=limits))
    return crops(photo, PreprocessSpec(**wanted["crops"]), limits=limits)


def _step_back() -> None:
    """Let other processes go first, and let this one be taken first where memory runs out."""
    if hasattr(os, "nice"):
        os.nice(_NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _send(pipe: IO[bytes], message: dict[str, Any], data: bytes = b"") -> None:
    pipe.write(json.dumps(message).encode("ascii") + b"\n")
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> dict[str, Any]:
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    message: dict[str, Any] = json.loads(line)
    return message


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    data: bytes = pipe.read(count)
    if len(data) < count:
        raise EOFError
    return data


if __name__ == "__main__":
    main()

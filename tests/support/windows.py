"""What Windows refuses, refused here: so that the code that runs there is tried wherever tests run on Linux."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

O_BINARY = 1 << 28  # a bit that no call here has


@dataclass
class Windows:
    """The calls of ``os`` as Windows has them.

    Attributes:
        refused: What was asked for that Windows does not do: the call, and the path.
    """

    refused: list[tuple[str, str]] = field(default_factory=list)
    _text: set[int] = field(default_factory=set)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("rename", "replace", "unlink", "remove", "rmdir"):
            patch.setattr(os, name, self._guarded(name, getattr(os, name)))
        opened, written, closed = os.open, os.write, os.close

        def open_(path: Any, flags: int, *words: Any, **more: Any) -> int:
            descriptor = opened(path, flags & ~O_BINARY, *words, **more)
            (self._text.discard if flags & O_BINARY else self._text.add)(descriptor)
            return descriptor

        def write(descriptor: int, data: bytes) -> int:
            if descriptor not in self._text:
                return written(descriptor, data)
            written(descriptor, bytes(data).replace(b"\n", b"\r\n"))
            return len(data)

        def close(descriptor: int) -> None:
            self._text.discard(descriptor)
            closed(descriptor)

        patch.setattr(os, "O_BINARY", O_BINARY, raising=False)
        patch.setattr(os, "open", open_)
        patch.setattr(os, "write", write)
        patch.setattr(os, "close", close)

    def _guarded(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(path: Any, *words: Any, **more: Any) -> Any:
            # A file that is open, or a folder with one, is neither moved nor deleted; nothing open is replaced.
            for place in (path, *words[:1]):
                if _is_open(Path(os.fspath(place))):
                    self.refused.append((name, os.fspath(place)))
                    raise PermissionError(errno.EACCES, "used by another process", os.fspath(place))
            return call(path, *words, **more)

        return guarded


def _is_open(path: Path) -> bool:
    place = path.absolute()
    return any(file == place or place in file.parents for file in _open_files())


def _open_files() -> Iterator[Path]:
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            yield link.readlink()

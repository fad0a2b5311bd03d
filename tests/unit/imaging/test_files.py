"""Paths: every way in which a file can be missing, forbidden or not a file at all."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from animal_classification.errors import (
    ImageAccessError,
    ImageError,
    ImageNotFoundError,
    ImageTooLargeError,
    UnsupportedImageError,
)
from animal_classification.imaging import Limits, decode
from tests.unit.imaging.drawing import encode, scene

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")
PNG = encode(scene(), "PNG")
NO_LIMITS = Limits()


def failure(path: str | Path, kind: type[ImageError], limits: Limits = NO_LIMITS) -> str:
    with pytest.raises(kind) as caught:
        decode(path, limits=limits)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert str(caught.value) == f"{caught.value.where}: {caught.value.reason}"
    return caught.value.reason


@pytest.mark.parametrize(
    "name", ["a b.png", 'it\'s "quoted".png', "línea\nnueva.png", "狐.png", "-rf.png", "%s{0}.png", "x" * 240 + ".png"]
)
def test_any_name_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(PNG)
    assert np.array_equal(decode(path), scene())
    path.write_bytes(PNG[:100])
    with pytest.raises(ImageError) as caught:
        decode(path)
    assert "\n" not in str(caught.value)
    assert path.suffix in caught.value.where


@POSIX
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses such names")
def test_a_name_that_is_not_text(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png")
    Path(path).write_bytes(PNG)
    assert decode(path).shape == (48, 64, 3)
    Path(path).write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        decode(path)
    str(caught.value).encode()  # printable on any terminal


def test_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PNG)
    assert "not there" in failure(tmp_path / "gone.jpg", ImageNotFoundError)
    assert "not there" in failure("", ImageNotFoundError)
    assert "not a folder" in failure(tmp_path / "file" / "below.jpg", ImageNotFoundError)
    assert "longer" in failure(tmp_path / ("x" * 5000), ImageNotFoundError)
    assert "no file can have" in failure("nul\0.jpg", ImageNotFoundError)
    assert "no file can have" in failure("lone \ud800 surrogate.jpg", ImageNotFoundError)


@POSIX
def test_links(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(PNG)
    (tmp_path / "good").symlink_to(tmp_path / "photo.png")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    assert decode(tmp_path / "good").shape == (48, 64, 3)
    failure(tmp_path / "dangling", ImageNotFoundError)
    assert "circle" in failure(tmp_path / "one", ImageNotFoundError)


@POSIX
def test_things_that_are_not_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for a writer for ever
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.jpg"))
        assert "socket" in failure(tmp_path / "socket.jpg", UnsupportedImageError)
    assert "pipe" in failure(tmp_path / "pipe.jpg", UnsupportedImageError)
    assert "folder" in failure(tmp_path, UnsupportedImageError)
    assert "device" in failure("/dev/zero", UnsupportedImageError)
    assert "device" in failure("/dev/null", UnsupportedImageError)


@POSIX
def test_a_pipe_that_takes_a_files_place_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "photo.png").write_bytes(PNG)
    looks_like_a_file = os.stat(tmp_path / "photo.png")  # noqa: PTH116 - os.stat is what is replaced
    monkeypatch.setattr(os, "stat", lambda path: looks_like_a_file)
    assert "pipe" in failure(tmp_path / "pipe.jpg", UnsupportedImageError)


@POSIX
def test_a_file_that_lies_about_its_size() -> None:
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("no /proc")
    assert path.stat().st_size == 0
    assert "text" in failure(path, UnsupportedImageError)
    assert "limit is 10" in failure(path, ImageTooLargeError, limits=Limits(max_bytes=10))


@POSIX
def test_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(PNG)
    path.chmod(0)
    if os.geteuid() != 0:
        assert "permission" in failure(path, ImageAccessError)
        return
    # Permissions do not bind root, so somebody else has to try.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    code = (
        "import os, sys\n"
        "from animal_classification.imaging import decode\n"
        "from animal_classification.errors import ImageAccessError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: decode(sys.argv[1])\n"
        "except ImageAccessError as error: print(error.reason)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "may not be read (permission denied)\n", done.stderr


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_permission_denied_on_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    (tmp_path / "photo.png").write_bytes(PNG)

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    assert "permission" in failure(tmp_path / "photo.png", ImageAccessError)


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photo.png").write_bytes(PNG)

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "open", fail)
    assert failure(tmp_path / "photo.png", ImageAccessError) == "cannot be read (Input/output error)"


def test_a_file_that_vanishes_between_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    opened = os.open

    def too_late(*arguments: object) -> int:
        path.unlink()
        return opened(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", too_late)
    failure(path, ImageNotFoundError)


def test_too_many_bytes(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    few = Limits(max_bytes=len(PNG) - 1)
    assert f"{len(PNG):,} bytes" in failure(path, ImageTooLargeError, limits=few)
    with pytest.raises(ImageTooLargeError):
        decode(PNG, limits=few)
    assert decode(path, limits=Limits(max_bytes=len(PNG))).shape == (48, 64, 3)


@POSIX
def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(10**13)
    assert "10,000,000,000,000 bytes" in failure(path, ImageTooLargeError)


def test_where_replaces_the_path(tmp_path: Path) -> None:
    for source, where in ((tmp_path / "gone.jpg", None), (b"", None), (tmp_path / "gone.jpg", "cat.jpg")):
        with pytest.raises(ImageError) as caught:
            decode(source, where=where)
        expected = where or (str(source) if isinstance(source, Path) else "bytes")
        assert caught.value.where == expected
        assert str(caught.value).startswith(expected + ": ")

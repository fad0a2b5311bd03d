"""Text files, and what is said where they cannot be read or written."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from animal_classification.common.hashes import hash_file
from animal_classification.common.text_files import cannot_write, read_text, replace_text, write_text
from animal_classification.errors import OutputError, UsageError


def test_written_text_is_read_back_byte_by_byte(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.md"
    write_text("أسد\nlion\n", target)
    assert target.read_bytes() == "أسد\nlion\n".encode()  # no other ends of lines on Windows
    replace_text("\ud800", target)  # a file's name may hold what is no text
    assert read_text(target) == "?"
    assert hash_file(target) == hashlib.sha256(b"?").hexdigest()
    assert [path.name for path in target.parent.iterdir()] == ["b.md"]


def test_one_line_where_it_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^cannot read '.*gone': No such file or directory$"):
        read_text(tmp_path / "gone")
    (tmp_path / "x").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="is not text in UTF-8"):
        read_text(tmp_path / "x")
    with pytest.raises(OutputError, match=r"^cannot write '.*y': Not a directory$"):
        replace_text("text", tmp_path / "x" / "y")
    with pytest.raises(OutputError, match=r"^cannot write '.*y': No such file or directory$"):
        replace_text("text", tmp_path / "folder" / "y")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize(
    ("number", "hint", "end"),
    [
        (errno.ENOSPC, "", "; make room"),
        (errno.ENOSPC, "choose another output=", "; choose another output="),
        (errno.EACCES, "", ""),
    ],
)
def test_what_to_do_about_it(number: int, hint: str, end: str) -> None:
    error = OSError(number, os.strerror(number))
    assert str(cannot_write(Path("x"), error, hint)) == f"cannot write 'x': {os.strerror(number)}{end}"


def test_no_more_is_read_than_a_text_can_be(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ä" * 101, encoding="utf-8")
    assert len(read_text(tmp_path / "a.txt", most=101)) == 101
    with pytest.raises(UsageError, match="has more than 100 characters"):
        read_text(tmp_path / "a.txt", most=100)
    with pytest.raises(UsageError, match="characters"):
        read_text(Path("/dev/zero"), most=1000)

"""What the command line says to people: one line per trouble, and no control character from a file's name.

Imports nothing but the standard library, because every command waits for it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import unicodedata
from pathlib import Path
from typing import TextIO

# Cf holds the marks that turn text around (a file called "gpj.exe" can be shown as "exe.jpg"), but also the two joiners
# that Persian names and many emoji are spelt with.
_CONTROLS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LONGEST = 3000  # characters of a message
_JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    r"""Text that cannot move the cursor, change colours, break the line or hide what it says.

    >>> printable("a\nb\x1b[31m.jpg")
    'a\\nb\\x1b[31m.jpg'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _CONTROLS or character in _JOINERS:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def complain(message: str) -> None:
    """Say what is wrong, in one line on stderr that people can read: names in it may come from anybody's file."""
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST * 2 // 3]} … {message[-_LONGEST // 3 :]}"
    say(f"animals: {printable(message)}")


def say(line: str) -> None:
    """Print a line on stderr, if anybody still listens there."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def prepare_streams() -> None:
    """Let every name be printed on every terminal: what its encoding lacks is escaped."""
    # A stream that the caller closed is None, on which nothing can be printed.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def drop_stdout() -> None:
    """Send what is still buffered for a reader that went away to nowhere, so that the interpreter ends quietly."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stdout = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        os.dup2(nowhere, stdout)
        os.close(nowhere)


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")

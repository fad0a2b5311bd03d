"""What may reach a terminal."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.common.console import complain, prepare_streams, printable, say


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain photo.jpg", "plain photo.jpg"),
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\u2028", r"\u2028"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("أسد و قط.jpg", "أسد و قط.jpg"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🔬🦁.jpg", "👩\u200d🔬🦁.jpg"),
        ("10\u202f00.png", "10\u202f00.png"),
    ],
)
def test_names_are_shown_but_never_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_any_text_is_one_line_that_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    shown.encode("utf-8")


def test_a_complaint_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    complain("cannot read 'a\nb'")
    assert capsys.readouterr() == ("", "animals: cannot read 'a\\nb'\n")


def test_nobody_needs_to_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    say("hello")


def test_streams_that_are_closed_or_know_few_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    monkeypatch.setattr(sys, "stderr", None)
    prepare_streams()
    print("🦁")
    print("lost", file=sys.stderr)
    ascii_only.flush()
    assert ascii_only.buffer.getvalue() == b"\\U0001f981\n"  # type: ignore[attr-defined]
    sys.stderr.close()


def test_a_complaint_about_a_strangers_file_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    complain("bad.json: no such label " + "x" * 100_000_000 + "; rename it")
    said = capsys.readouterr().err
    assert len(said) < 4000
    assert said.startswith("animals: bad.json: no such label xxx")
    assert said.endswith("xxx; rename it\n")

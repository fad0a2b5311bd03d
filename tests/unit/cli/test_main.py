"""The frame of the command line: one line per trouble, and the right exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import click
import pytest

from animal_classification import __version__
from animal_classification.cli import main as frame
from animal_classification.errors import BundleNotFoundError, MissingExtraError, OutputError, UsageError

Capture = pytest.CaptureFixture[str]


def lines(capsys: Capture) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err.splitlines()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Puts a function in the place of ``animals predict``."""

    def install(body: Callable[[], object]) -> None:
        module = ModuleType("fake")
        module.__spec__ = ModuleSpec("fake", None)
        module.command = click.command("predict")(body)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "animal_classification.cli.predict", module)

    return install


def test_help_lists_the_commands_that_exist(capsys: Capture) -> None:
    for words in ([], ["--help"], ["-h"]):
        assert frame.main(words) == 0
        out = capsys.readouterr().out
        assert "predict" in out
        assert "--debug" in out


def test_a_command_that_is_not_there_is_not_listed(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(frame.COMMANDS, "fly", "Fly.")
    assert frame.main(["--help"]) == 0
    assert "fly" not in capsys.readouterr().out
    assert frame.main(["fly"]) == 2


@pytest.mark.parametrize("words", [["help"], ["help", "train"], ["help", "models", "promote"]])
def test_help_is_a_command(capsys: Capture, words: list[str]) -> None:
    assert frame.main(words) == 0
    asked = capsys.readouterr().out
    assert frame.main([*words[1:], "--help"]) == 0
    assert asked == capsys.readouterr().out


def test_every_command_that_exists_can_be_called_for_help(capsys: Capture) -> None:
    context = click.Context(frame.cli)
    for name in frame.cli.list_commands(context):
        assert frame.main([name, "--help"]) == 0
        assert "--debug" in capsys.readouterr().out


def test_the_version(capsys: Capture) -> None:
    assert frame.main(["--version"]) == 0
    assert capsys.readouterr().out == f"animals {__version__}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["predcit"], "no such command 'predcit'; did you mean 'predict'? (see: animals --help)"),
        (["xyz"], "no such command 'xyz' (see: animals --help)"),
        (["--versoin"], "no such option '--versoin'; did you mean '--version'? (see: animals --help)"),
        (["predict"], "missing argument 'PATH...' (see: animals predict --help)"),
        (
            ["predict", "x", "--topk", "3"],
            "no such option '--topk'; did you mean '--top-k'? (see: animals predict --help)",
        ),
        (
            ["predict", "x", "--top-k", "0"],
            "invalid value for '--top-k': 0 is not in the range 1<=x<=1000 (see: animals predict --help)",
        ),
        (["predict", "x", "--zzzzzz"], "no such option '--zzzzzz' (see: animals predict --help)"),
        (["predict", "x", "--output"], "option '--output' requires an argument (see: animals predict --help)"),
        (["pre\x1b[31m\ndict"], r"no such command 'pre\x1b[31m\ndict'; did you mean 'predict'? (see: animals --help)"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_one_line(capsys: Capture, words: list[str], line: str) -> None:
    assert frame.main(words) == 2
    assert lines(capsys) == [f"animals: {line}"]


def test_a_photo_in_the_place_of_a_command(capsys: Capture, tmp_path: Path) -> None:
    assert frame.main([str(tmp_path)]) == 2
    assert f"did you mean: animals predict {tmp_path}" in lines(capsys)[0]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("wrong"), 2),
        (BundleNotFoundError("wrong"), 2),
        (OutputError("wrong"), 1),
        (click.ClickException("wrong"), 1),
        (click.FileError("a\nb", "wrong"), 1),
        (MissingExtraError("x", "app"), 2),
    ],
)
def test_errors_are_one_line_with_their_exit_code(
    capsys: Capture, command: Callable[..., None], error: Exception, code: int
) -> None:
    def body() -> None:
        raise error

    command(body)
    assert frame.main(["predict"]) == code
    (line,) = lines(capsys)
    assert line.startswith("animals: ")


def test_a_surprise_is_one_line_and_says_how_to_see_more(capsys: Capture, command: Callable[..., None]) -> None:
    def body() -> None:
        raise ZeroDivisionError("by\nzero")

    command(body)
    assert frame.main(["predict"]) == 1
    assert lines(capsys) == [
        r"animals: internal error: ZeroDivisionError: by\nzero; run again with --debug for details"
    ]


@pytest.mark.parametrize("words", [["--debug", "predict"], ["predict", "--debug"]])
def test_debug_shows_where_it_happened(capsys: Capture, command: Callable[..., None], words: list[str]) -> None:
    def body() -> None:
        raise OutputError("wrong")

    command(body)
    assert frame.main(words) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("animals: wrong\n")


def test_ctrl_c_is_one_line(capsys: Capture, command: Callable[..., None]) -> None:
    def body() -> None:
        raise KeyboardInterrupt

    command(body)
    assert frame.main(["predict"]) == 130
    assert lines(capsys) == ["animals: interrupted"]


def test_a_reader_that_went_away_is_no_news(capsys: Capture, command: Callable[..., None]) -> None:
    def body() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    command(body)
    assert frame.main(["predict"]) == 1
    assert lines(capsys) == []


def test_the_exit_code_is_what_the_command_returns(command: Callable[..., None]) -> None:
    command(lambda: 7)
    assert frame.main(["predict"]) == 7
    command(lambda: None)
    assert frame.main(["predict"]) == 0


def test_debug_is_accepted_after_a_command_of_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.main(["data", "inspect", "--debug", "/there/is/no/such/folder"]) == 2
    errors = capsys.readouterr().err
    assert "Traceback" in errors
    assert "no such option" not in errors

"""The command's options; what it starts is tested in tests/e2e."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from animal_classification.cli import up
from animal_classification.errors import MissingExtraError, OutputError, UsageError
from animal_classification.install_hint import pip_install
from animal_classification.prediction_log import location
from animal_classification.serving.process import server
from animal_classification.settings import Settings

STARTED = server.ServerStarted(
    address="http://localhost:8080", model="tiny", version="1", engine="onnxruntime", threads=2
)


@pytest.fixture(autouse=True)
def data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the prediction log goes by itself, in place of the developer's own."""
    folder = tmp_path / "data"
    monkeypatch.setattr(location, "default_folder", lambda: folder)
    return folder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    calls: list[Settings] = []

    def run_server(settings: Settings, *, on_ready: Callable[..., None], on_warning: Callable[[str], None]) -> None:
        calls.append(settings)
        on_ready(STARTED)
        on_warning("no Gradio: it is broken")

    monkeypatch.setattr(server, "run_server", run_server)
    return calls


def invoke(*words: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(up.command, list(words))


def test_defaults_and_the_ready_line(started: list[Settings]) -> None:
    result = invoke()
    assert result.exit_code == 0, result.output
    assert started == [Settings(prediction_log=True, keep_photos="thumbnail")]
    ready = "animals: ready at http://localhost:8080 (model tiny 1, onnxruntime, 2 threads)\n"
    assert result.stdout == f"{ready}animals: stopped\n"
    assert result.stderr == "animals: no Gradio: it is broken\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(host="0.0.0.0"), "everybody who can reach it can have photos named; nothing of them is kept"),
        (
            Settings(host="::", prediction_log=True),
            "everybody who can reach it can have photos named, and see and correct at /review what was asked",
        ),
        (
            Settings(host="0.0.0.0", prediction_log=True, keep_photos="thumbnail", keys_file="keys.json"),
            "who has an API key can have photos named, and see and correct at /review what was asked with small "
            "pictures",
        ),
    ],
)
def test_a_server_for_all_says_where_and_for_whom(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, said: str
) -> None:
    monkeypatch.setattr(up, "own_address", lambda: "192.168.1.5")
    where, who = up.network_lines(settings, STARTED)
    assert where == "animals: phones and other computers in this network open http://192.168.1.5:8080"
    assert who == f"animals: {said}"


def test_a_server_for_this_machine_says_nothing_of_others() -> None:
    assert up.network_lines(Settings(), STARTED) == []
    assert re.fullmatch(r"|\d+(\.\d+){3}", up.own_address())


def test_options_win_over_the_environment(started: list[Settings]) -> None:
    invoke("--port", "9001", "--no-page", "--threads", "1", ANIMALS_PORT="9000", ANIMALS_HOST="0.0.0.0")
    assert started == [Settings(host="0.0.0.0", port=9001, page=False, threads=1, prediction_log=True)]


@pytest.mark.parametrize(
    ("words", "environment", "kept"),
    [
        ((), {}, (True, "thumbnail")),
        (("--host", "localhost"), {}, (True, "thumbnail")),
        (("--host", "0.0.0.0"), {}, (True, "no")),
        (("--host", "0.0.0.0", "--keep-photos", "original"), {}, (True, "original")),
        (("--keep-photos", "no"), {}, (True, "no")),
        ((), {"ANIMALS_KEEP_PHOTOS": "original"}, (True, "original")),
        (("--no-prediction-log",), {"ANIMALS_KEEP_PHOTOS": "original"}, (False, "no")),
        ((), {"ANIMALS_PREDICTION_LOG": "0"}, (False, "no")),
        ((), {"ANIMALS_ROOT_PATH": "/zoo"}, (True, "no")),
        ((), {"ANIMALS_TRUSTED_PROXIES": "127.0.0.1"}, (True, "no")),
        ((), {"ANIMALS_CORS": "https://zoo.example"}, (True, "no")),
        (("--keep-photos", "thumbnail"), {"ANIMALS_ROOT_PATH": "/zoo"}, (True, "thumbnail")),
    ],
)
def test_photos_are_kept_where_only_this_machine_can_send_any(
    started: list[Settings], words: tuple[str, ...], environment: dict[str, str], kept: tuple[bool, str]
) -> None:
    result = invoke(*words, **environment)
    assert result.exit_code == 0, result.exception
    assert [(settings.prediction_log, settings.keep_photos) for settings in started] == [kept]


def test_where_nothing_can_be_written_nothing_is_kept(started: list[Settings], data_folder: Path) -> None:
    data_folder.write_text("not a folder")
    assert invoke().exit_code == 0
    assert started == [Settings()]


@pytest.mark.parametrize(
    ("words", "environment"), [(("--keep-photos", "thumbnail"), {}), ((), {"ANIMALS_KEEP_PHOTOS": "original"})]
)
def test_photos_that_were_asked_for_are_not_left_out_silently(
    data_folder: Path, words: tuple[str, ...], environment: dict[str, str]
) -> None:
    data_folder.write_text("not a folder")
    result = invoke("--port", "0", "--no-page", *words, **environment)
    assert isinstance(result.exception, OutputError)
    assert "cannot be written" in str(result.exception)


def test_photos_without_predictions_are_refused(started: list[Settings]) -> None:
    assert isinstance(invoke("--no-prediction-log", "--keep-photos", "thumbnail").exception, UsageError)
    assert not started


@pytest.mark.parametrize("words", [("--port", "70000"), ("--threads", "-1"), ("--engine", "steam")])
def test_wrong_options_are_refused(started: list[Settings], words: tuple[str, str]) -> None:
    assert invoke(*words).exit_code == 2
    assert not started


def test_a_wrong_environment_is_refused(started: list[Settings]) -> None:
    assert isinstance(invoke(ANIMALS_PORT="x").exception, UsageError)
    assert not started


def test_the_browser_opens_only_on_request(started: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    invoke()
    assert opened == []
    invoke("--open")
    assert opened == ["http://localhost:8080"]


def test_gradio_is_an_extra_of_its_own(monkeypatch: pytest.MonkeyPatch, started: list[Settings]) -> None:
    assert invoke("--gradio").exit_code == 0
    assert started[0].gradio
    monkeypatch.setattr(up, "find_spec", lambda name: None if name == "gradio" else object())
    assert invoke().exit_code == 0
    error = invoke("--gradio").exception
    assert str(error) == f"animals up --gradio needs an extra: {pip_install('gradio')}"
    assert len(started) == 2


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "find_spec", lambda name: None if name == "uvicorn" else object())
    error: Any = invoke().exception
    assert isinstance(error, MissingExtraError)
    assert "[serve]" in str(error)

"""``animals serve``: its options; what it starts is tested in tests/e2e."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from animal_classification.cli import serve
from animal_classification.cli.up import ready_line
from animal_classification.errors import MissingExtraError, UsageError
from animal_classification.serving.process import server, supervisor
from animal_classification.settings import Settings

STARTED = server.ServerStarted(
    address="http://localhost:8080", model="tiny", version="1", engine="onnxruntime", threads=4, workers=2
)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Settings]]:
    calls: list[tuple[str, Settings]] = []

    def stand_in(name: str) -> Callable[..., None]:
        def run(settings: Settings, *, on_ready: Callable[..., None], on_warning: Callable[[str], None]) -> None:
            calls.append((name, settings))
            on_ready(STARTED)

        return run

    monkeypatch.setattr(server, "run_server", stand_in("server"))
    monkeypatch.setattr(supervisor, "run_workers", stand_in("workers"))
    return calls


def invoke(*words: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(serve.command, list(words))


def test_every_setting_is_an_option() -> None:
    text = invoke("--help").output
    for field in fields(Settings):
        assert f"--{field.name.replace('_', '-')}" in text
        assert field.metadata["help"].split()[0] in text


def test_defaults(started: list[tuple[str, Settings]]) -> None:
    result = invoke()
    assert started == [("server", Settings())]
    assert result.stdout == ready_line(STARTED) + "\n"
    assert "4 threads in 2 workers" in result.stdout


def test_options_win_over_the_environment(started: list[tuple[str, Settings]]) -> None:
    origins = "https://a.example, https://b.example"
    words = ("--workers", "2", "--cors", origins, "--grace", "2.5", "--access-log", "--root-path", "/zoo")
    result = invoke(*words, ANIMALS_GRACE="9", ANIMALS_QUEUE_SIZE="100", ANIMALS_TRUSTED_PROXIES="10.0.0.1,10.0.0.2")
    expected = Settings(
        workers=2,
        cors=("https://a.example", "https://b.example"),
        grace=2.5,
        access_log=True,
        root_path="/zoo",
        queue_size=100,
        trusted_proxies=("10.0.0.1", "10.0.0.2"),
    )
    assert started == [("workers", expected)]
    assert result.stdout == "", "stdout is the log's"
    assert "ready at" in result.stderr


def test_several_models(started: list[tuple[str, Settings]]) -> None:
    words = ("--model", "photos", "--model", "zoo=models:/zoo@production", "--canary", "zoo=models:/zoo@candidate@0.1")
    result = invoke(*words, ANIMALS_SHADOW="photos=a@0.5, zoo=b@1", ANIMALS_MODEL="other", ANIMALS_FOLLOW="2.5")
    expected = Settings(
        model=("photos", "zoo=models:/zoo@production"),
        canary=("zoo=models:/zoo@candidate@0.1",),
        shadow=("photos=a@0.5", "zoo=b@1"),
        follow=2.5,
    )
    assert started == [("server", expected)], result.output
    assert ready_line(replace(STARTED, others=("zoo 3",))).endswith(
        "(models tiny 1, zoo 3, onnxruntime, 4 threads in 2 workers)"
    )


@pytest.mark.parametrize(
    "words", [("--queue-size", "3"), ("--max-wait", "0"), ("--grace", "-1"), ("--cors", "x"), ("--max-wait", "nan")]
)
def test_wrong_options_are_refused(started: list[tuple[str, Settings]], words: tuple[str, str]) -> None:
    assert isinstance(invoke(*words).exception, UsageError)
    assert not started


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "animal_classification.cli.up.find_spec", lambda name: None if name == "httptools" else object()
    )
    error: Any = invoke().exception
    assert isinstance(error, MissingExtraError)
    assert "animals serve" in str(error)


@pytest.mark.parametrize(("cpus", "workers", "expected"), [(8, 3, [3, 3, 2]), (2, 2, [1, 1]), (1, 3, [1, 1, 1])])
def test_cores_are_divided(cpus: int, workers: int, expected: list[int]) -> None:
    assert supervisor.threads_per_worker(cpus, workers) == expected

"""``animals bench serve``: its numbers, and its client against a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from animal_classification.cli.main import main
from tests.e2e.serving import Server
from tests.support.tiny_bundle import write_tiny_bundle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it measures processes as POSIX counts them")

from benchmarks.serve import report, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "zoo"
    place.mkdir()
    for number in range(3):
        Image.new("RGB", (200, 150), (80 * number, 90, 20)).save(place / f"{number}.jpg")
    return place


def measured(load: dict[str, Any], latencies: list[float], **statuses: int) -> dict[str, Any]:
    return {
        **load,
        "latencies": latencies,
        "seconds": 2.0,
        "statuses": {key[1:]: value for key, value in statuses.items()},
        "client_cpu_seconds": 0.004,
        "server_cpu_seconds": 0.04,
        "server_memory_mb": 250.0,
    }


def test_the_arithmetic() -> None:
    load = {"concurrency": 8}
    runs = [
        measured(load, [0.01, 0.02, 0.03, 0.04], _200=4),
        measured(load, [0.1], _200=1, _503=1),
        measured({"concurrency": 1}, [9.0], _200=1),
    ]
    without = [{"decode": 0.1, "inference": 0.2, "cores": 2, "median_seconds": 0.01}] * 2
    row = report.row(load, runs, without)
    assert row["photos_per_second_all"] == [2.0, 0.5]
    assert row["latency_ms"]["p50"] == pytest.approx(30)
    assert row["latency_ms"]["p99"] == pytest.approx(100)
    assert row["histogram_ms"]["<= 10"] == 1
    assert sum(row["histogram_ms"].values()) == 5
    assert row["statuses"] == {"200": 5, "503": 1}
    assert row["server_cpu_ms"] == pytest.approx(1000 * 0.08 / 6)
    client = 0.008 / 6
    assert row["share_of_the_cores"] == pytest.approx((2.0 + 0.5) / 2 * (0.3 + client / 2))
    assert row["over_one_core_ms"] == pytest.approx(20)


def test_the_table() -> None:
    rows = [report.row({"rate": 20.0}, [measured({"rate": 20.0}, [0.01], _200=1, _503=2)], [])]
    facts = {"server": "here", "machine": {"cpu": "c", "cores": 2}, "when": "now", "rows": rows, "alone": None}
    assert "| 20 a second | 0.5 | 10.0 | 10.0 | 10.0 |  | 13.3 | 1.33 | 250 | 2 |" in report.render(facts)


def test_a_server_that_runs_already(folder: Path, tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    server = Server("--no-page", "--model", str(bundle), "--engine", "onnxruntime", folder=tmp_path, name="serve")
    try:
        options = run.Options(
            folder=folder, address=server.address, concurrency=(2,), rates=(40.0,), seconds=0.4, repeat=1, count=3
        )
        closed, opened = run.run(options, lambda _: None)["rows"]
    finally:
        server.kill()
    assert closed["statuses"].keys() == {"200"}
    assert closed["latency_ms"]["p50"] > 0
    assert 2 <= opened["statuses"]["200"] <= 60
    assert "share_of_the_cores" not in closed


def test_what_is_lost_is_counted(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    words = ["--address", "http://127.0.0.1:9", "--photos", str(folder), "--rate", "50", "--seconds", "0.2"]
    command = [sys.executable, "-m", "benchmarks.serve.client", *words, "--warm-up", "0", "--report", str(path)]
    subprocess.run(command, check=True, cwd=run.CHECKOUT, timeout=60)
    found = json.loads(path.read_text())
    assert found["latencies"] == []
    assert found["statuses"].keys() == {"ConnectionRefusedError"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--concurrency", "many"], "--concurrency takes numbers"),
        (["--concurrency", ""], "nothing to measure"),
    ],
)
def test_wrong_calls(folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "serve", str(folder), *words]) == 2
    assert message in capsys.readouterr().err

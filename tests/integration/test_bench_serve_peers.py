"""``animals bench serve --peers``: its arithmetic, its pictures, and what it says where the peers are not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from animal_classification.cli.main import main

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it measures processes as POSIX counts them")

from benchmarks.serve import compare, contestants, judging, plots, report, soak
from benchmarks.serve.server import Target

WITHOUT = [{"decode": 0.002, "inference": 0.003, "cores": 2, "median_seconds": 0.01}]
CHOSEN = (contestants.OURS, contestants.TORCH, contestants.ONNX_RUNTIME[1])


def runs_of(title: str, photos: int, latency: float) -> list[dict[str, Any]]:
    return [
        {
            "title": title,
            "turn": 0,
            "concurrency": concurrency,
            "latencies": [latency] * photos,
            "seconds": 1.0,
            "statuses": {"200": photos},
            "client_cpu_seconds": photos * 0.0002,
            "server_cpu_seconds": photos * 0.01,
            "server_memory_mb": 300.0,
            "first_answer": 1.2,
            "others": 0.2,
        }
        for concurrency in (1, 32)
    ]


def found(ours: int) -> dict[str, Any]:
    runs = [*runs_of("animals serve", ours, 0.012), *runs_of("FastAPI + PyTorch", 20, 0.2)]
    runs += runs_of("FastAPI + ONNX Runtime", 100, 0.03)
    return {
        "when": "now",
        "machine": {"cpu": "c", "cores": 2},
        "alone": {"decode_all_cores_ms": 2.0, "inference_all_cores_ms": 3.0, "one_core_ms": 10.0, "cores": 2},
        "rows": [compare.row(each, runs, WITHOUT, (1, 32)) for each in CHOSEN],
        "promises": compare.promises(CHOSEN, runs, WITHOUT),
    }


def test_promises_are_judged_by_the_best_peer() -> None:
    kept = found(180)["promises"]
    assert [each["kept"] for each in kept] == [True] * 4
    assert [each["measured"] for each in kept] == pytest.approx([1.8, 180 * 0.0051, 12.0, 2.0])
    assert kept[2]["bound"] == pytest.approx(30)
    assert [each["kept"] for each in found(110)["promises"]] == [False, False, True, True]


def test_the_table_shows_its_arithmetic_and_warns() -> None:
    table = compare.render(found(110))
    assert "decoding 2.00 ms + inference 3.00 ms + the client 0.10 ms = 5.10 ms a photo" in table
    assert "so 196 photos/s" in table
    assert "| at 32, at least 1.25 times the best peer | 1.10 | 1.25 | no |" in table
    assert "other programs took up to 20%" in table
    assert "| FastAPI + ONNX Runtime | 100.0 | 100.0 | 30.0 | 30.0 |" in table


def test_pictures(tmp_path: Path) -> None:
    rows = [report.row({"concurrency": number}, runs_of("animals serve", 50, 0.02), WITHOUT) for number in (1, 32)]
    written = plots.write({"rows": rows}, tmp_path)
    assert [path.name for path in written] == ["latency-1-at-once.svg", "latency-32-at-once.svg", "sweep.svg"]
    for path in written:
        root = ElementTree.fromstring(path.read_text())
        assert len(root.findall("{http://www.w3.org/2000/svg}rect")) > 2


def test_the_peers_have_to_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.jpg")
    monkeypatch.setattr(contestants, "CHECKOUT", tmp_path)
    assert main(["bench", "serve", str(tmp_path), "--peers"]) == 1
    assert "make peers" in capsys.readouterr().err
    assert main(["bench", "serve", str(tmp_path), "--peers", "--rate", "20"]) == 2


def test_growth_is_from_the_second_tenth_to_the_last() -> None:
    client = {"statuses": {"200": 1000}, "seconds": 100.0}
    flat = [(second, 200.0 if second < 10 else 300.0) for second in range(101)]
    assert soak.judge(flat, client)["passed"]
    grown = [(second, 300.0 + second / 4) for second in range(101)]
    judged = soak.judge(grown, client)
    assert not judged["passed"]
    assert judged["growth"] == pytest.approx(0.066, abs=0.01)
    assert not soak.judge(flat, {**client, "statuses": {"200": 1000, "503": 1}})["passed"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="children are found in /proc")
def test_a_worker_in_a_session_of_its_own_is_ended_with_its_peer() -> None:
    worker = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}], start_new_session=True)"
    peer = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, start_new_session=True)
    assert peer.stdout is not None
    peer.stdout.readline()  # the worker is there
    family = Target("", peer.pid).processes()
    assert len(family) == 2
    contestants.end(peer, family)
    assert peer.stdout.read() == b"", "the pipe ends with the last process that holds it"
    peer.stdout.close()


def test_with_and_without_judging_stand_side_by_side() -> None:
    turns = [(judging.OFF, 0.010), (judging.OFF, 0.030), (judging.ON, 0.012)]
    runs = [
        {"title": title, "rate": 20.0, "latencies": [0.005] * 50 + [p99] * 50, "server_cpu_seconds": 1.5}
        for title, p99 in turns
    ]
    rows = [judging.row(title, 20.0, runs) for title in (judging.OFF, judging.ON)]
    assert [row["p99_ms"] for row in rows] == pytest.approx([20, 12])
    assert rows[0]["p99_of_turns_ms"] == pytest.approx([10, 30])
    table = judging.render({"windows": 3, "rows": rows}).splitlines()
    assert table[0].startswith("3 windows")
    assert table[-1] == "| 20 | judging every 3 s | 100 | 5.0 | 12.0 | 12.0 to 12.0 | 1.5 |"


def test_judging_wants_an_open_loop(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", "serve", str(tmp_path), "--judging", "zoo"]) == 2
    assert "--rate" in capsys.readouterr().err

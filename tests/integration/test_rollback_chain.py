"""A model that fails after its promotion, and all that brings the one before back, as one chain of real parts.

The loop promotes, and the server follows the registry. Then photos come that the new model fails on: Prometheus
scrapes, the rules that we ship fire, Alertmanager has the alert and pages; the next run of the loop takes the model
back, and the server follows. Nobody does anything by hand; a timer calls ``animals loop run``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
if shutil.which("prometheus") is None or shutil.which("prometheus-alertmanager") is None:
    pytest.skip("needs Prometheus and its Alertmanager: make prometheus", allow_module_level=True)

import httpx
from PIL import Image

from animal_classification.cli.main import main
from animal_classification.registry import Registry
from animal_classification.training.recipes import RECIPES
from tests.e2e.serving import Server, wait_for
from tests.support import alerting
from tests.support.faulty_recipe import FATAL
from tests.support.loop_place import configure, place, say
from tests.support.tiny_bundle import COLOURS, Colour, solid

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]
INTERVAL = 5.0  # seconds between two runs of the loop; minutes in production


def picture(colour: Colour) -> bytes:
    data = BytesIO()
    Image.fromarray(solid(colour, size=64)).save(data, "PNG")
    return data.getvalue()


class Visitors:
    """Somebody who sends one photo after the other, and remembers which version answered and what went wrong."""

    def __init__(self, address: str) -> None:
        self._address, self.photo = address, picture(COLOURS[0])
        self.answers: list[tuple[int, str | None]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Visitors:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _send(self) -> None:
        with httpx.Client(base_url=self._address, timeout=30) as client:
            while not self._end.wait(0.1):
                answer = client.post("/v1/predict", files={"files": ("a.png", self.photo)})
                version = answer.json()["predictions"][0]["version"] if answer.is_success else None
                self.answers.append((answer.status_code, version))

    def wait_for(self, status: int, version: str | None, context: Any) -> None:
        """Until the newest answer is such a one."""
        wait_for(lambda: self.answers[-1:] == [(status, version)] or None, f"{status}, {version}", context)


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place whose model is sound, words for another, and a recipe that will put the fault into that one."""
    monkeypatch.setitem(RECIPES, "probe", "tests.support.colour_recipe")
    root = tmp_path / "zoo"
    root.mkdir()
    place(root)
    say(root, 9)
    monkeypatch.setitem(RECIPES, "probe", "tests.support.faulty_recipe")
    return root


@pytest.fixture
def server(zoo: Path) -> Iterator[Server]:
    """As docs/loop.md says that servers are started, looking at the registry more often."""
    words = ["--no-page", "--engine", "onnxruntime", "--threads", "1", "--follow", "0.5"]
    words += [
        "--tracking-uri",
        f"sqlite:///{zoo / 'registry.db'}",
        "--prediction-log",
        "--log-folder",
        str(zoo / "log"),
    ]
    words += ["--model", "tiny=models:/tiny@production", "--canary", "tiny=models:/tiny@canary@tag"]
    server = Server(*words, folder=zoo, name="serve")
    yield server
    server.kill()


def loop_run(config: Path) -> str:
    """One run, as cron would start it; returns what it says."""
    words = [sys.executable, "-m", "animal_classification.cli", "loop", "run", "--config", str(config)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run_by_timer(config: Path, alertmanager: str) -> list[tuple[bool, str]]:
    """A run every interval until one takes the model back: whether Alertmanager had the alert before, and the words."""
    runs: list[tuple[bool, str]] = []
    deadline, tick = time.monotonic() + 120, threading.Event()
    while time.monotonic() < deadline:
        began = time.monotonic()
        known = "AnimalsFailing" in alerting.firing(alertmanager)
        runs.append((known, loop_run(config)))
        if "rolled back" in runs[-1][1]:
            return runs
        tick.wait(max(0.0, INTERVAL - (time.monotonic() - began)))
    raise AssertionError(f"nothing was taken back: {runs}")


def test_a_model_that_fails_is_taken_back_within_one_interval(
    zoo: Path, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry.open(f"sqlite:///{zoo / 'registry.db'}")
    with (
        alerting.pager() as (webhook, pages),
        alerting.alertmanager(tmp_path, webhook) as alertmanager,
        alerting.prometheus(tmp_path, server.port, alertmanager, hold="2s"),
        Visitors(server.address) as visitors,
    ):
        # No canary: it would fail first, and the promotion is what is tried here.
        config = configure(zoo, canary={"shares": []}, watch={"days": 7, "alerts": alertmanager})
        visitors.wait_for(200, "1", lambda: server.output)

        # The candidate passes the gate, because no photo there shows its fault; the loop promotes it.
        capsys.readouterr()
        assert main(["loop", "run", "--config", str(config), "--until", "promote"]) == 0
        assert "promoted" in capsys.readouterr().out
        assert registry.aliases("tiny") == {"production": 2}
        visitors.wait_for(200, "2", lambda: server.output)
        assert "tiny/2 is in production and watched for 6 days more" in loop_run(config)

        # It begins to fail. The first run that can know of the alert takes the model back.
        visitors.photo = picture(FATAL)
        runs = run_by_timer(config, alertmanager)
        assert [known for known, _ in runs[:-1]] == [False] * (len(runs) - 1), "an interval went by"
        assert registry.aliases("tiny") == {"production": 1}
        visitors.wait_for(200, "1", lambda: server.output)
        page = pages.get(timeout=30)

    assert page["receiver"] == "pages"
    assert {alert["labels"]["alertname"] for alert in page["alerts"]} == {"AnimalsFailing"}
    counted = Counter(visitors.answers)
    assert counted.keys() == {(200, "1"), (200, "2"), (500, None)}, counted

    # The ledger says why, and the loop leaves it at that.
    assert main(["loop", "history", "--verify", "--json", "--config", str(config)]) == 0
    rows = json.loads(capsys.readouterr().out)["transitions"]
    assert [row["state"] for row in rows][-2:] == ["promoted", "closed"]
    reason = rows[-1]["decision"]["reason"]
    assert reason.startswith("rolled back to tiny/1: the alert AnimalsFailing began 0 minutes after the promotion")
    began = datetime.fromisoformat(page["alerts"][0]["startsAt"].replace("Z", "+00:00"))
    took = (datetime.fromisoformat(rows[-1]["time"]) - began).total_seconds()
    print(f"taken back {took:.1f} s after the alert began; {len(runs)} runs; answers {dict(counted)}")
    assert "nothing is due" in loop_run(config)
    assert registry.aliases("tiny") == {"production": 1}

"""The Locust file, headless, against a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
if find_spec("locust") is None:
    pytest.skip("needs: pip install locust", allow_module_level=True)

from tests.e2e.serving import Server
from tests.support.tiny_bundle import write_tiny_bundle

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "serve" / "locustfile.py"


def test_visitors_are_answered(tmp_path: Path, unmeasured: None) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    server = Server("--no-page", "--model", str(bundle), "--engine", "onnxruntime", folder=tmp_path, name="serve")
    words = ["--headless", "--users", "4", "--spawn-rate", "4", "--run-time", "3s", "--json", "--skip-log"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "locust", "-f", str(FILE), "--host", server.address, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    finally:
        server.kill()
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout[done.stdout.index("[") :])}
    assert rows["/v1/predict (1)"]["num_requests"] > 3
    assert sum(row["num_failures"] for row in rows.values()) == 0

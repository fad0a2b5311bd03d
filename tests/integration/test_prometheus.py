"""A real Prometheus scrapes a real server; its query API must find every metric that docs/serve.md promises."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
if shutil.which("prometheus") is None:
    pytest.skip("needs prometheus: apt-get install prometheus", allow_module_level=True)

import httpx
from PIL import Image

from animal_classification.prediction_log.database import connect, writing
from animal_classification.prediction_log.drift_records import add_record
from animal_classification.prediction_log.location import LogLocation
from tests.e2e.serving import Server, wait_for
from tests.support.drift_verdicts import drift_record
from tests.support.ports import free_port
from tests.support.tiny_bundle import write_tiny_bundle

DOCS = Path(__file__).resolve().parents[2] / "docs" / "serve.md"


def promised() -> list[str]:
    section = DOCS.read_text(encoding="utf-8").split("\n## Metrics\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(animals_\w+)`", section, re.MULTILINE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    other = write_tiny_bundle(tmp_path / "other", names=("wolf", "bear", "fox"))
    words: tuple[str, ...] = ("--no-page", "--model", str(bundle), "--engine", "onnxruntime", "--follow", "0.2")
    words += ("--shadow", f"tiny={other}@1", "--prediction-log", "--log-folder", str(tmp_path / "log"))
    server = Server(*words, folder=tmp_path, name="serve")
    yield server
    server.kill()


@pytest.fixture
def prometheus(server: Server, tmp_path: Path) -> Iterator[str]:
    config = tmp_path / "prometheus.yml"
    target = f'{{job_name: animals, scrape_interval: 1s, static_configs: [{{targets: ["127.0.0.1:{server.port}"]}}]}}'
    config.write_text(f"scrape_configs: [{target}]\n")
    port = free_port()
    words = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            ["prometheus", *words, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        )
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(20)


def _tell_of_drift(folder: Path) -> None:
    """A verdict in the server's database, as another server that shares it would write."""
    verdict = {"accuracy": {"estimated": [0.8, 0.9], "audit": {"accuracy": 0.85}}}
    score = {"value": 0.4, "verdict": verdict}
    record = drift_record(datetime.now(UTC), effects={"look": 0.01}, kind="look", score=score)
    engine = connect(LogLocation(folder=folder).database)
    with writing(engine) as connection:
        assert add_record(connection, record)
    engine.dispose()


def test_every_promised_metric_is_found_after_traffic(server: Server, prometheus: str, tmp_path: Path) -> None:
    picture = BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(picture, "JPEG")
    photo = picture.getvalue()
    files = [("files", ("a.jpg", photo)), ("files", ("b.jpg", b"no photo"))]
    assert httpx.post(f"{server.address}/v1/predict", files=files).status_code == 200
    assert httpx.post(f"{server.address}/v1/predict", content=b"").status_code == 415
    assert httpx.post(f"{server.address}/v1/drift/judge").status_code in {200, 409}  # it has no reference
    _tell_of_drift(tmp_path / "log")
    shutil.rmtree(tmp_path / "tiny")  # and a newer version takes over
    write_tiny_bundle(tmp_path / "tiny", version="2")
    names = promised()
    assert len(names) >= 11
    missing = set(names)

    def look() -> bool | None:
        for name in sorted(missing):
            # A histogram is found by the count of its observations.
            query = {"query": f'{{__name__=~"{name}(_count)?",job="animals"}}'}
            try:
                found = httpx.get(f"{prometheus}/api/v1/query", params=query).json()["data"]["result"]
            except httpx.HTTPError:
                return None
            if found:
                missing.discard(name)
        return True if not missing else None

    wait_for(look, "every metric", lambda: f"missing: {sorted(missing)}")

"""What the loop asks Prometheus and Alertmanager, with a real one of each: failed requests, and alerts."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
if shutil.which("prometheus") is None or shutil.which("prometheus-alertmanager") is None:
    pytest.skip("needs Prometheus and its Alertmanager: make prometheus", allow_module_level=True)

import httpx
from PIL import Image

from animal_classification.errors import AnimalsError
from animal_classification.loop.canary import request_counts
from animal_classification.loop.rollback_triggers import alert_after
from tests.e2e.serving import Server, wait_for
from tests.support import alerting
from tests.support.tiny_bundle import write_tiny_bundle

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(300)]


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    with alerting.alertmanager(tmp_path) as address:
        yield address


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    server = Server("--no-page", "--model", str(bundle), "--engine", "onnxruntime", folder=tmp_path, name="serve")
    yield server
    server.kill()


@contextmanager
def failing() -> Iterator[int]:
    """The metrics of a server of whose requests half fail since it was first asked."""
    asked = 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal asked
            asked += 1
            series = 'animals_http_requests_total{route="/v1/predict",method="POST",status="%d"} %d\n'
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write("".join(series % (status, 10 * asked) for status in (200, 500)).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as stand_in:
        thread = threading.Thread(target=stand_in.serve_forever)
        thread.start()
        yield stand_in.server_port
        stand_in.shutdown()
        thread.join()


def photo() -> bytes:
    picture = BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(picture, "JPEG")
    return picture.getvalue()


def test_failed_requests_come_through_prometheus(server: Server, alertmanager: str, tmp_path: Path) -> None:
    for _ in range(5):
        assert httpx.post(f"{server.address}/v1/predict", files={"files": ("a.jpg", photo())}).status_code == 200
    assert httpx.get(f"{server.address}/v1/models/nobody").status_code == 404
    assert httpx.get(f"{server.address}/healthz").status_code == 200
    own = request_counts(f"{server.address}/metrics")
    assert own == (0.0, 6.0)
    with alerting.prometheus(tmp_path, server.port, alertmanager) as address:

        def same() -> bool | None:
            try:
                return request_counts(f"{address}/federate?match[]=animals_http_requests_total") == own or None
            except AnimalsError:
                return None

        wait_for(same, "the counts", lambda: address)


def test_an_alert_of_prometheus_takes_a_promotion_back(alertmanager: str, tmp_path: Path) -> None:
    """The rules that we ship fire, Alertmanager has the alert, and the loop finds it soon after a promotion."""
    began = datetime.now(UTC) - timedelta(minutes=1)
    assert alert_after(alertmanager, began) is None
    with failing() as port, alerting.prometheus(tmp_path, port, alertmanager) as address:
        failed, total = request_counts(f"http://127.0.0.1:{port}/metrics")
        assert 2 * failed == total
        wait_for(lambda: _told(alertmanager, "AnimalsFailing"), "the alert", lambda: address, 120)
    found = alert_after(alertmanager, began)
    assert "the alert AnimalsFailing began" in str(found)
    assert alert_after(alertmanager, began - timedelta(hours=2)) is None, "a promotion of long ago"
    assert alert_after(alertmanager, datetime.now(UTC) + timedelta(minutes=1)) is None, "it was there before"


def test_a_silenced_alert_takes_nothing_back(alertmanager: str) -> None:
    """A person who silences an alert has seen it."""
    now = datetime.now(UTC)
    alert = {"labels": {"alertname": "AnimalsSlow"}, "startsAt": now.isoformat()}
    assert httpx.post(f"{alertmanager}/api/v2/alerts", json=[alert]).status_code == 200
    wait_for(lambda: _told(alertmanager, "AnimalsSlow"), "the alert", lambda: alertmanager)
    assert "AnimalsSlow" in str(alert_after(alertmanager, now - timedelta(minutes=3)))
    silence = {
        "matchers": [{"name": "alertname", "value": "AnimalsSlow", "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "Ada",
        "comment": "a backup runs",
    }
    assert httpx.post(f"{alertmanager}/api/v2/silences", json=silence).status_code == 200
    wait_for(
        lambda: True if alert_after(alertmanager, now - timedelta(minutes=3)) is None else None,
        "the silence",
        lambda: alertmanager,
    )


def _told(alertmanager: str, name: str) -> bool | None:
    return name in alerting.firing(alertmanager) or None

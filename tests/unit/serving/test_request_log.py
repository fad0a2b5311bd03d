"""Metrics, request ids, the access log, and what every answer carries."""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.serving.observability.json_logs import JsonHandler, LineWriter
from animal_classification.settings import Settings
from tests.unit.serving.conftest import RED, YELLOW, FakePredictor, assert_problem, encoded, send

MakeClient = Callable[..., TestClient]


def read_metrics(client: TestClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(metrics: dict[Any, float], name: str, **labels: str) -> float | None:
    return metrics.get((name, tuple(sorted(labels.items()))))


def test_the_metrics_of_the_contract(client: TestClient, classifier: Classifier) -> None:
    send(client, ("a.jpg", encoded(RED)), ("chair.jpg", encoded(YELLOW)), ("notes.txt", b"text"))
    client.get("/v1/models/lions")
    client.get("/nowhere")
    metrics = read_metrics(client)
    model = {"model": "tiny", "version": "1"}
    requests = "animals_http_requests_total"
    assert value(metrics, requests, route="/v1/predict", method="POST", status="200") == 1
    assert value(metrics, requests, route="/v1/models/{name}", method="GET", status="404") == 1
    assert value(metrics, requests, route="other", method="GET", status="404") == 1
    seconds = "animals_http_request_duration_seconds_count"
    assert value(metrics, seconds, route="/v1/predict", method="POST") == 1
    assert value(metrics, "animals_inference_duration_seconds_count", stage="decode") == 3
    assert value(metrics, "animals_batch_size_sum") == 2
    assert value(metrics, "animals_queue_depth") == 0
    assert value(metrics, "animals_predictions_total", **model, label="cat") == 1
    assert value(metrics, "animals_predictions_total", **model, label="unknown") == 1
    assert value(metrics, "animals_unknown_total", **model) == 1
    assert value(metrics, "animals_prediction_confidence_count") == 2
    assert value(metrics, "animals_model_info", **model, sha256=classifier.bundle.sha256) == 1
    assert value(metrics, "animals_rejected_total", reason="unreadable-photo") == 1
    assert value(metrics, "animals_http_requests_in_progress") == 1, "the one that reads them"


def test_strangers_cannot_make_the_series_grow(client: TestClient) -> None:
    before = len(read_metrics(client))
    for number in range(30):
        client.get(f"/made/up/{number}")
        client.get(f"/v1/models/{number}")
        client.request(f"METHOD{number}", "/v1/predict")
        client.request(f"METHOD{number}", f"/{number}")
    grown = len(read_metrics(client)) - before
    assert grown < 130, grown
    for number in range(30, 60):
        client.get(f"/made/up/{number}")
        client.request(f"METHOD{number}", f"/{number}")
    assert len(read_metrics(client)) - before == grown


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool: apt-get install prometheus")
def test_prometheus_itself_finds_no_fault_with_them(client: TestClient) -> None:
    send(client, ("a.jpg", encoded(RED)))
    text = client.get("/metrics").content
    check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")


@pytest.mark.parametrize("sane", ["abc", "7d4f1e0a-3c", "trace:1/2=+@.", "a" * 128])
def test_a_request_id_is_kept(client: TestClient, sane: str) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": sane}).headers["x-request-id"] == sane


@pytest.mark.parametrize("odd", ["", "a" * 129, "a b", 'a"b', "<script>", "é", "-"])
def test_an_odd_request_id_is_replaced(client: TestClient, odd: str) -> None:
    given = client.get("/healthz", headers=[(b"X-Request-ID", odd.encode())]).headers.get_list("x-request-id")
    assert len(given) == 1
    assert re.fullmatch("[0-9a-f]{32}", given[0])


def test_every_answer_has_the_safety_headers(client_with: MakeClient, classifier: Classifier) -> None:
    def fail(_: bytes) -> None:
        raise ValueError

    client = client_with(FakePredictor(classifier, fail))
    answers = [client.get(path) for path in ("/healthz", "/nowhere", "/docs", "/", "/metrics", "/openapi.json")]
    answers.append(send(client, ("a.jpg", encoded(RED))))
    assert [answer.status_code for answer in answers] == [200, 404, 200, 200, 200, 200, 500]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert answer.headers["x-request-id"]
        assert "strict-transport-security" not in answer.headers
        assert "server" not in answer.headers


def test_over_tls_browsers_are_told_to_stay_there(app: FastAPI) -> None:
    with TestClient(app, base_url="https://zoo.example") as client:
        assert "max-age" in client.get("/healthz").headers["strict-transport-security"]


def test_while_draining_it_is_not_ready_answers_all_the_same_and_ends_connections(
    app: FastAPI, client: TestClient
) -> None:
    assert "connection" not in client.get("/readyz").headers
    app.state.service.drain()
    assert_problem(client.get("/readyz"), 503, "draining")
    answer = send(client, ("a.jpg", encoded(RED)))
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert client.get("/healthz").status_code == 200


def test_the_access_log(classifier: Classifier) -> None:
    lines: list[dict[str, Any]] = []
    photo = encoded(RED)
    with TestClient(create_app(classifier, Settings(), access_log=lines.append)) as client:
        answer = send(client, ("secret-name.jpg", photo))
        client.get("/nowhere?token=secret")
    predict, nowhere = lines
    assert predict["request_id"] == answer.headers["x-request-id"]
    assert (predict["method"], predict["route"], predict["status"]) == ("POST", "/v1/predict", 200)
    assert predict["received"] > len(photo)
    assert predict["sent"] == len(answer.content)
    assert 0 < predict["seconds"] < 10
    assert (nowhere["path"], nowhere["route"], nowhere["status"]) == ("/nowhere", "other", 404)
    assert "secret" not in json.dumps(lines)


def test_a_failure_is_counted_and_logged(classifier: Classifier) -> None:
    def fail(_: bytes) -> None:
        raise ValueError("broken")

    lines: list[dict[str, Any]] = []
    app = create_app(FakePredictor(classifier, fail), Settings(), access_log=lines.append)
    with TestClient(app, raise_server_exceptions=False) as client:
        send(client, ("a.jpg", encoded(RED)))
        metrics = read_metrics(client)
        assert value(metrics, "animals_http_requests_total", route="/v1/predict", method="POST", status="500") == 1
    assert lines[0]["status"] == 500


def test_log_lines_are_one_json_object_each_whatever_stands_in_them() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    log = logging.getLogger("tests.json")
    log.propagate = False
    log.addHandler(JsonHandler(writer))
    try:
        raise ValueError("two\nlines \x1b[31m")
    except ValueError:
        log.exception("it\nbroke")
    writer.access({"path": "/a\nb\u2028\x1b"})
    writer.close()
    first, second = stream.getvalue().splitlines()
    assert json.loads(first)["message"] == "it\nbroke"
    assert "ValueError" in json.loads(first)["exception"]
    assert json.loads(second)["path"] == "/a\nb\u2028\x1b"
    assert "\x1b" not in stream.getvalue()


def test_a_log_that_nobody_reads_holds_up_nobody_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animal_classification.serving.observability.json_logs.MAX_WAITING", 5)
    reading = threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            assert reading.wait(20)
            return super().write(text)

    stream = Stuck()
    writer = LineWriter(stream)
    for number in range(50):
        writer.access({"number": number})
    reading.set()
    writer.close()
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    (dropped,) = [record["count"] for record in records if record["event"] == "log lines dropped"]
    assert dropped + len(records) - 1 == 50

"""The drift API: photos and embeddings as they are sent, the log's verdicts, the round, and what Prometheus reads."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from animal_classification.inference import Classifier
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.store import insert
from animal_classification.serving.middleware.api_keys import new_key, write_keys
from animal_classification.serving.observability import drift_metrics
from animal_classification.serving.process.drift_judge import DriftThread
from tests.support.drift_log import DIMENSIONS, Scenes, ago, embedded, write_watched_bundle
from tests.unit.serving.conftest import RED, assert_problem, encoded

MakeClient = Callable[..., TestClient]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    path = write_watched_bundle(tmp_path_factory.mktemp("watched") / "tiny")
    return Classifier.load(path, engine="onnxruntime", threads=2)


def test_embeddings_are_judged_and_not_sent_back(client_with: MakeClient, watched: Classifier) -> None:
    client = client_with(watched)
    clean = client.post("/v1/drift", json=embedded(200))
    assert clean.status_code == 200, clean.text
    assert clean.json()["verdict"]["kind"] == "none"
    dark = client.post("/v1/drift?model=tiny", json=embedded(200, dark=1.5)).json()
    assert dark["verdict"]["kind"] == "image"
    assert (dark["model"], dark["version"], dark["used"], dark["since"]) == ("tiny", "1", 200, None)
    assert dark["accuracy"]["estimated"][0] < dark["accuracy"]["estimated"][1]
    bare = {name: value for name, value in embedded(100).items() if name in ("embeddings", "known", "pred")}
    assert client.post("/v1/drift", json=bare).json()["accuracy"]["estimated"] is None
    assert "embedding" not in client.get("/v1/drift").text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"embeddings": [[0.5] * (DIMENSIONS + 1)] * 60}, f"{DIMENSIONS} numbers"),
        ({"embeddings": [[[0.123456] * DIMENSIONS]] * 60}, "embeddings.0"),
        ({"embeddings": [["0.123456"] * DIMENSIONS] * 60}, ""),
        ({"embeddings": "many"}, "embeddings"),
        ({"known": [2.0] * 60}, "known.0"),
        ({"known": [0.5] * 61}, "known has 61"),
        ({"stats": [[0.0] * 11] * 60}, "stats.0"),
        ({"lions": 3}, "lions"),
    ],
)
def test_what_is_no_sample(client_with: MakeClient, watched: Classifier, change: dict[str, Any], says: str) -> None:
    response = client_with(watched).post("/v1/drift", json=embedded(60) | change)
    if not says:  # numbers as text are numbers
        return
    detail = assert_problem(response, 422, "invalid-values")["detail"]
    assert says in detail
    assert "0.123456" not in response.text


def test_too_few_and_too_many(client_with: MakeClient, watched: Classifier) -> None:
    client = client_with(watched)
    assert_problem(client.post("/v1/drift", json=embedded(49)), 422, "too-few")
    assert_problem(client.post("/v1/drift", json=embedded(501)), 422, "invalid-values")
    copies = {name: values[:1] * 60 for name, values in embedded(50).items()}
    detail = assert_problem(client.post("/v1/drift", json=copies), 422, "too-few")["detail"]
    assert detail.startswith("1 photos are left of 60")
    assert_problem(client.post("/v1/drift?model=zoo", json=embedded(60)), 404, "no-such-model")


def test_a_model_without_a_reference(client: TestClient) -> None:
    assert_problem(client.post("/v1/drift", json=embedded(60)), 409, "no-reference")


def test_photos_are_read_and_not_logged(client_with: MakeClient, watched: Classifier, tmp_path: Path) -> None:
    client = client_with(watched, prediction_log=True, log_folder=str(tmp_path))
    red = ("files", ("a.jpg", encoded(RED)))
    assert_problem(client.post("/v1/drift", files=[red] * 49), 422, "too-few")
    broken = ("files", ("b.jpg", b"no photo"))
    response = client.post("/v1/drift", files=[*([red] * 70), broken])
    # The tiny model's embeddings are colours: all photos are one scene, and its reference has other embeddings.
    assert assert_problem(response, 422, "too-few")["detail"].startswith("1 photos are left of 71")
    client.app.state.predictions.log.flush()  # type: ignore[attr-defined]
    assert not (tmp_path / "predictions.db").exists()
    assert "animals_predictions_total{" not in client.get("/metrics").text


def fill(folder: Path, seed: int = 21) -> None:
    engine = connect(f"sqlite:///{folder / 'predictions.db'}")
    migrate(engine)
    scenes = Scenes(seed)
    insert(engine, scenes.records(200, ago(4)))
    engine.dispose()


def more(folder: Path, hours: float, **looks: Any) -> None:
    engine = connect(f"sqlite:///{folder / 'predictions.db'}")
    insert(engine, Scenes(int(hours * 10)).records(200, ago(hours), **looks))
    engine.dispose()


def test_rounds_verdicts_and_metrics(
    client_with: MakeClient, watched: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_metrics, "READ_EVERY", 0.0)
    client = client_with(watched, prediction_log=True, log_folder=str(tmp_path), drift_sources=("gate",))
    assert client.post("/v1/drift/judge").json() == {"verdicts": [], "waiting": 0, "failures": [], "busy": False}
    fill(tmp_path)
    more(tmp_path, 3, source="gate", dark=1.5)
    done = client.post("/v1/drift/judge").json()
    assert [(one["source"], one["verdict"]["kind"]) for one in done["verdicts"]] == [("", "image"), ("gate", "image")]
    more(tmp_path, 2, source="gate", dark=1.5)
    assert [one["verdict"]["confirmed"] for one in client.post("/v1/drift/judge").json()["verdicts"]] == [True, True]
    assert client.post("/v1/drift/judge").json()["waiting"] == 2

    told = client.get("/v1/drift", params={"since": "24h", "model": "tiny", "source": ""}).json()
    newest = told["newest"][0]
    assert newest["verdict"]["confirmed"]
    assert newest["began"] == told["verdicts"][-1]["since"]
    assert len(newest["examples"]["after"]) > 0
    assert all(path.startswith("review/") for path in newest["examples"]["after"])
    assert len(told["verdicts"]) == 2
    text = client.get("/metrics").text
    score = next(
        line for line in text.splitlines() if 'kind="image",model="tiny",source="gate"' in line and "score" in line
    )
    assert float(score.rsplit(" ", 1)[1]) > 0.25
    assert 'animals_drift_score{kind="mix",model="tiny",source="",version="1"} 0.0' in text
    assert 'animals_drift_window_photos{model="tiny",source="",version="1",what="used"} 200.0' in text
    assert 'animals_accuracy{how="estimate_low"' in text
    assert 0 <= value(text, "animals_drift_age_seconds") < 600


def value(text: str, series: str) -> float:
    return float(next(line for line in text.splitlines() if line.startswith(series)).rsplit(" ", 1)[1])


def test_a_source_that_nobody_listed_is_no_label(client_with: MakeClient, watched: Classifier, tmp_path: Path) -> None:
    fill(tmp_path)
    client = client_with(watched, prediction_log=True, log_folder=str(tmp_path), drift_sources=("gate",))
    more(tmp_path, 3, source="gate")
    client.post("/v1/drift/judge")
    other = client_with(watched, prediction_log=True, log_folder=str(tmp_path))
    assert 'source="gate"' not in other.get("/metrics").text
    assert "animals_drift_score" in other.get("/metrics").text


def test_who_may_ask(client_with: MakeClient, watched: Classifier, tmp_path: Path) -> None:
    (predict, first), (admin, second) = new_key("door", ("predict",)), new_key("boss", ("admin",))
    write_keys(tmp_path / "keys.json", [first, second])
    client = client_with(
        watched, keys_file=str(tmp_path / "keys.json"), prediction_log=True, log_folder=str(tmp_path / "log")
    )
    assert_problem(client.post("/v1/drift", json=embedded(60)), 401, "no-key")
    assert client.post("/v1/drift", json=embedded(60), headers={"X-API-Key": predict}).status_code == 200
    for method, path in (("get", "/v1/drift"), ("post", "/v1/drift/judge")):
        assert_problem(getattr(client, method)(path, headers={"X-API-Key": predict}), 403, "no-scope")
        assert getattr(client, method)(path, headers={"X-API-Key": admin}).status_code in (200, 503)


def test_without_a_log_or_a_database(client_with: MakeClient, watched: Classifier, tmp_path: Path) -> None:
    bare = client_with(watched)
    assert_problem(bare.get("/v1/drift"), 404, "no-prediction-log")
    assert_problem(bare.post("/v1/drift/judge"), 404, "no-prediction-log")
    (tmp_path / "predictions.db").write_bytes(b"this is no database at all" * 100)
    broken = client_with(watched, prediction_log=True, log_folder=str(tmp_path))
    assert_problem(broken.get("/v1/drift"), 503, "log-unavailable")
    assert_problem(broken.post("/v1/drift/judge"), 503, "log-unavailable")
    assert broken.get("/metrics").status_code == 200


def test_a_model_without_reference_is_told_once_and_counted(
    client_with: MakeClient, classifier: Classifier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path)
    client = client_with(classifier, prediction_log=True, log_folder=str(tmp_path))
    assert_problem(client.post("/v1/drift/judge"), 409, "no-reference")
    assert "is not judged" not in caplog.text  # who asked was told
    state = client.app.state  # type: ignore[attr-defined]
    thread = DriftThread(state.drift_rounds, 0.01, state.service.metrics)
    deadline = time.monotonic() + 30
    while value(client.get("/metrics").text, "animals_drift_failures_total") < 4:
        assert time.monotonic() < deadline
    thread.close(30)
    assert caplog.text.count("drift of tiny is not judged") == 1


def test_drift_is_a_line_of_the_log(
    client_with: MakeClient, watched: Classifier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path)
    more(tmp_path, 3, dark=1.5)
    client = client_with(watched, prediction_log=True, log_folder=str(tmp_path))
    client.post("/v1/drift/judge")
    line = next(record for record in caplog.records if getattr(record, "fields", None))
    assert line.fields["event"] == "drift"  # type: ignore[attr-defined]
    assert line.fields["kind"] == "image"  # type: ignore[attr-defined]
    assert json.dumps(line.fields)  # type: ignore[attr-defined]


def test_embeddings_do_not_leave_the_log(client_with: MakeClient, watched: Classifier, tmp_path: Path) -> None:
    fill(tmp_path)
    client = client_with(watched, prediction_log=True, log_folder=str(tmp_path))
    client.post("/v1/drift/judge")
    with sqlite3.connect(tmp_path / "predictions.db") as connection:
        row = connection.execute("SELECT score, explain FROM animals_drift").fetchone()
    connection.close()
    assert "embedding" not in row[0]
    assert not np.array(json.loads(row[0]).get("values", [])).size


def test_both_methods_of_a_path_are_named(client_with: MakeClient, watched: Classifier, tmp_path: Path) -> None:
    response = client_with(watched).delete("/v1/drift")
    assert_problem(response, 405)
    assert {"GET", "POST"} <= set(response.headers["allow"].split(", "))

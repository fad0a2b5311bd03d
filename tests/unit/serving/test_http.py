"""Photos by themselves, compression, other origins, prefixes, and answers that are remembered."""

from __future__ import annotations

import gzip
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from animal_classification.errors import BundleError, UsageError
from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.settings import Settings
from tests.unit.serving.conftest import BLUE, GREEN, RED, YELLOW, FakePredictor, assert_problem, encoded, send

MakeClient = Callable[..., TestClient]
JPEG = {"content-type": "image/jpeg"}


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "IMAGE/JPEG", "image/*", "image/jpeg; charset=binary"])
def test_a_photo_by_itself(client: TestClient, kind: str) -> None:
    answer = client.post("/v1/predict?top_k=1", content=encoded(RED), headers={"content-type": kind})
    (entry,) = answer.json()["predictions"]
    assert (entry["label"], entry["file"], len(entry["top"])) == ("cat", "", 1)


def test_a_photo_by_itself_is_bounded_as_any_other(client_with: MakeClient) -> None:
    photo = encoded(RED)
    client = client_with(max_file_bytes=len(photo) - 1, max_request_bytes=len(photo) * 10)
    (entry,) = client.post("/v1/predict", content=photo, headers=JPEG).json()["predictions"]
    assert "larger than" in entry["error"]
    assert_problem(client.post("/v1/predict", content=photo * 11, headers=JPEG), 413, "request-too-large")
    assert_problem(client.post("/v1/predict", content=b"", headers=JPEG), 422, "no-files")
    (entry,) = client.post("/v1/predict", content=b"text", headers=JPEG).json()["predictions"]
    assert "text" in entry["error"]


def test_answers_are_compressed_where_that_is_worth_it(client: TestClient) -> None:
    photos = [("a.jpg", encoded(RED))] * 8
    for accepted, coding in (("gzip", "gzip"), ("identity", None), ("gzip;q=0", None)):
        client.headers["accept-encoding"] = accepted
        answer = send(client, *photos)
        assert answer.headers.get("content-encoding") == coding
        assert len(answer.json()["predictions"]) == 8
        assert coding is None or "accept-encoding" in answer.headers["vary"].lower()
    client.headers["accept-encoding"] = "gzip"
    assert "content-encoding" not in send(client, photos[0]).headers
    assert client.get("/openapi.json").headers["content-encoding"] == "gzip"


def test_a_model_that_has_not_changed_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/v1/models/tiny")
    again = client.get("/v1/models/tiny", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/v1/models/tiny", headers={"If-None-Match": '"other"'}).status_code == 200


def preflight(client: TestClient, origin: str) -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    return client.options("/v1/predict", headers=headers)


def test_other_origins_may_ask_only_if_they_are_listed(client_with: MakeClient) -> None:
    client = client_with(cors=("https://zoo.example",))
    allowed = preflight(client, "https://zoo.example")
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://zoo.example"
    answer = client.post("/v1/predict", content=encoded(RED), headers={**JPEG, "Origin": "https://zoo.example"})
    assert answer.headers["access-control-allow-origin"] == "https://zoo.example"
    for origin in ("https://evil.example", "https://zoo.example.evil.example", "http://zoo.example", "null"):
        refused = preflight(client, origin)
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers


def test_without_a_list_no_other_origin_may_ask(client: TestClient) -> None:
    assert "access-control-allow-origin" not in preflight(client, "https://zoo.example").headers


@pytest.mark.parametrize("origin", ["zoo.example", "https://zoo.example/path", "ftp://a", "https://*.example"])
def test_origins_that_could_never_match_are_refused(origin: str) -> None:
    with pytest.raises(UsageError, match="cors"):
        Settings(cors=(origin,))


@pytest.mark.parametrize("sent", ["/animals", ""])
def test_behind_a_prefix_whether_or_not_the_proxy_takes_it_away(client_with: MakeClient, sent: str) -> None:
    client = client_with(root_path="/animals")
    (entry,) = client.post(f"{sent}/v1/predict", content=encoded(RED), headers=JPEG).json()["predictions"]
    assert entry["label"] == "cat"
    assert client.get(f"{sent}/healthz").status_code == 200
    assert "Which animal is this?" in client.get(f"{sent}/").text
    assert client.get(f"{sent}/docs").status_code == 200
    assert client.get(f"{sent}/docs/assets/swagger-ui.css").status_code == 200
    assert client.get(f"{sent}/openapi.json").json()["servers"] == [{"url": "/animals"}]
    assert_problem(client.get(f"{sent}/nowhere"), 404)
    assert_problem(client.get(f"{sent}/v1/predict"), 405)


def test_a_path_that_only_begins_like_the_prefix_is_another(client_with: MakeClient) -> None:
    assert_problem(client_with(root_path="/animals").get("/animalshealthz"), 404)


@pytest.mark.parametrize("prefix", ["animals", "/animals/", "/", "/a b", "//x", "/a\r\nX: y"])
def test_prefixes_that_cannot_be_are_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="root_path"):
        Settings(root_path=prefix)


def test_the_same_photo_is_computed_once_where_answers_are_remembered(
    client_with: MakeClient, classifier: Classifier
) -> None:
    decoded: list[bytes] = []
    client = client_with(FakePredictor(classifier, decoded.append), cache_size=2)

    def ask(colour: tuple[int, int, int], name: str, **options: Any) -> dict[str, Any]:
        (entry,) = send(client, (name, encoded(colour)), **options).json()["predictions"]
        return dict(entry)

    first, second = ask(RED, "a.jpg"), ask(RED, "b.jpg")
    assert len(decoded) == 1
    assert (second["file"], second["label"]) == ("b.jpg", "cat")
    assert first["id"] != second["id"]
    assert {**first, "id": "", "file": ""} == {**second, "id": "", "file": ""}
    assert len(ask(RED, "a.jpg", top_k=1)["top"]) == 1, "another question"
    assert len(decoded) == 2
    ask(GREEN, "c.jpg")
    ask(BLUE, "d.jpg")
    assert len(decoded) == 4
    ask(RED, "a.jpg")
    assert len(decoded) == 5, "only so many are remembered"
    assert ask(RED, "a.jpg", heatmap=True)["heatmap"]
    metrics = client.get("/metrics").text
    assert 'animals_cache_lookups_total{result="hit"} 1.0' in metrics


def test_answers_that_are_remembered_are_counted_as_others_are(client_with: MakeClient) -> None:
    client = client_with(cache_size=10)
    for _ in range(7):
        send(client, ("a.jpg", encoded(RED)), ("chair.jpg", encoded(YELLOW)))
    metrics = client.get("/metrics").text
    assert 'animals_cache_lookups_total{result="hit"} 12.0' in metrics
    assert 'animals_predictions_total{label="cat",model="tiny",version="1"} 7.0' in metrics
    assert 'animals_predictions_total{label="unknown",model="tiny",version="1"} 7.0' in metrics
    assert 'animals_unknown_total{model="tiny",version="1"} 7.0' in metrics
    assert "animals_prediction_confidence_count 14.0" in metrics


def test_an_answer_without_the_heatmap_that_was_asked_for_is_not_remembered(
    client_with: MakeClient, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = FakePredictor(classifier)
    client = client_with(predictor, cache_size=10)

    def ask() -> dict[str, Any]:
        (entry,) = send(client, ("a.jpg", encoded(RED)), heatmap=True).json()["predictions"]
        return dict(entry)

    def changed(*_: object) -> None:
        raise BundleError("the files have changed")

    with monkeypatch.context() as patch:
        patch.setattr(predictor, "heatmap_of", changed)
        assert "heatmap" not in ask()
    assert ask()["heatmap"]


def test_nothing_is_remembered_by_default_and_unreadable_photos_never(
    client_with: MakeClient, classifier: Classifier
) -> None:
    decoded: list[bytes] = []
    client = client_with(FakePredictor(classifier, decoded.append))
    for _ in range(2):
        send(client, ("a.jpg", encoded(RED)))
    assert len(decoded) == 2
    client = client_with(FakePredictor(classifier, decoded.append), cache_size=5)
    for _ in range(2):
        (entry,) = send(client, ("a.jpg", b"text")).json()["predictions"]
        assert entry["error"]
    assert len(decoded) == 4


def test_a_large_photo_is_remembered_too(client_with: MakeClient, classifier: Classifier) -> None:
    decoded: list[bytes] = []
    client = client_with(FakePredictor(classifier, decoded.append), cache_size=5)
    photo = encoded(RED) + b"\0" * 2_000_000
    for _ in range(2):
        (entry,) = send(client, ("a.jpg", photo)).json()["predictions"]
        assert entry["label"] == "cat"
    assert len(decoded) == 1


def test_compressed_bytes_are_the_same_answer(classifier: Classifier) -> None:
    with TestClient(create_app(classifier), headers={"accept-encoding": "gzip"}) as client:
        with client.stream("POST", "/v1/predict", files=[("files", ("a.jpg", encoded(RED)))] * 5) as answer:
            raw = b"".join(answer.iter_raw())
        assert b'"predictions"' in gzip.decompress(raw)


def test_no_error_is_answered_on_a_thread(client_with: MakeClient) -> None:
    client = client_with()
    handlers = client.app.exception_handlers.values()  # type: ignore[attr-defined]
    assert len(handlers) >= 6
    on_threads = [handler for handler in handlers if not inspect.iscoroutinefunction(handler)]
    assert not on_threads  # Starlette runs them where they wait longer than they work

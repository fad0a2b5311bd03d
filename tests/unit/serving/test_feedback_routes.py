"""The prediction log and the review, over HTTP."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import Connection

from animal_classification import imaging
from animal_classification.imaging import DecodeBound, Limits
from animal_classification.inference import Classifier
from animal_classification.prediction_log import feedback
from animal_classification.prediction_log.database_errors import LogDatabaseError, RefusedRowError
from animal_classification.prediction_log.photo_store import PhotoFolder
from animal_classification.serving import create_app
from animal_classification.serving.http.problem_details import ProblemError
from animal_classification.serving.middleware.api_keys import new_key, write_keys
from animal_classification.serving.models.loader import LoadedModel
from animal_classification.serving.observability import prediction_logging
from animal_classification.serving.observability.metrics import ServerMetrics
from animal_classification.serving.observability.prediction_logging import (
    MAX_QUERIES,
    MAX_WAITING,
    PredictionLogger,
    replica_warnings,
)
from animal_classification.serving.ui.pages import EXAMPLES, example_path
from animal_classification.settings import Settings
from tests.support.tiny_bundle import write_tiny_bundle
from tests.unit.serving.conftest import BLUE, GREEN, RED, YELLOW, assert_problem, encoded, send

MakeClient = Callable[..., TestClient]
KEEPERS = {"Ada": ("feedback",), "Bob": ("feedback",), "boss": ("admin",)}
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def logged(client_with: MakeClient, tmp_path: Path) -> TestClient:
    return client_with(prediction_log=True, log_folder=str(tmp_path), keep_photos="thumbnail", audit_per_day=0)


WITH_EMBEDDINGS = "animals_predictions AS p LEFT JOIN animals_embeddings AS e ON e.prediction = p.id"


def rows(folder: Path, table: str = WITH_EMBEDDINGS, order: str = "p.rowid") -> list[dict[str, Any]]:
    with sqlite3.connect(folder / "predictions.db") as connection:
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY {order}")]
    connection.close()
    return found


def predicted(client: TestClient, *colours: tuple[int, int, int]) -> list[dict[str, Any]]:
    response = send(client, *((f"{number}.jpg", encoded(colour)) for number, colour in enumerate(colours)))
    entries: list[dict[str, Any]] = response.json()["predictions"]
    return entries


def say(client: TestClient, identity: str, verdict: str = "confirmed", **more: Any) -> Any:
    return client.post("/v1/feedback", json={"id": identity, "verdict": verdict, **more})


def opened(client: TestClient, **query: Any) -> dict[str, Any]:
    page: dict[str, Any] = client.get("/v1/review", params=query).json()
    return page


def wait_for(client: TestClient, total: int) -> None:
    """Until so many are in the database."""
    deadline = time.monotonic() + 30
    while opened(client)["total"] < total:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_answered_is_in_the_log(logged: TestClient, tmp_path: Path, classifier: Classifier) -> None:
    cat, chair = predicted(logged, RED, YELLOW)
    notes = send(logged, ("notes.txt", b"no photo")).json()["predictions"]
    assert notes[0]["error"]
    assert opened(logged)["total"] == 2, "what could not be read is no prediction"
    found = {row["id"]: row for row in rows(tmp_path)}
    assert found.keys() == {cat["id"], chair["id"]}
    row = found[cat["id"]]
    assert (row["file"], row["label"], row["label_id"], row["model"], row["version"]) == (
        "0.jpg",
        "cat",
        "cat-id",
        "tiny",
        "1",
    )
    assert row["probability"] == pytest.approx(cat["probability"], abs=1e-6)
    assert found[chair["id"]]["unknown"] == 1
    assert 0 < row["latency"] < 60
    embedding = np.frombuffer(row["embedding"], "<f2")
    expected = classifier.predict(encoded(RED), embedding=True).embedding
    assert expected is not None
    np.testing.assert_allclose(embedding, expected, atol=1e-3)


def test_remembered_answers_and_the_other_protocol_are_in_the_log(client_with: MakeClient, tmp_path: Path) -> None:
    client = client_with(prediction_log=True, log_folder=str(tmp_path), cache_size=10)
    ids = [predicted(client, RED)[0]["id"] for _ in range(3)]
    body = {"inputs": [{"name": "photos", "datatype": "BYTES", "shape": [1], "data": [_base64(encoded(BLUE))]}]}
    assert client.post("/v2/models/tiny/infer", json=body).status_code == 200
    assert opened(client)["total"] == 2, "each photo is asked about once"
    found = rows(tmp_path)
    assert [row["id"] for row in found[:3]] == ids
    assert [row["label"] for row in found] == ["cat", "cat", "cat", "lion"]


@pytest.mark.parametrize("top_k", [1, 3, 8])
def test_five_labels_are_in_the_log_whatever_a_request_asks_for(
    client_with: MakeClient, tmp_path: Path, top_k: int
) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny", names=tuple("abcdefgh"))
    classifier = Classifier.load(bundle, engine="onnxruntime", threads=1)
    client = client_with(classifier, prediction_log=True, log_folder=str(tmp_path / "log"), cache_size=10)
    for _ in range(2):  # the second is remembered
        (entry,) = send(client, ("a.jpg", encoded(RED)), top_k=top_k).json()["predictions"]
        assert len(entry["top"]) == top_k
    wait_for(client, 1)  # the database is being made
    until = time.monotonic() + 20
    while len(kept := rows(tmp_path / "log")) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert [len(json.loads(row["top"])) for row in kept] == [5, 5]
    assert {json.loads(row["top"])[0][0] for row in kept} == {"a"}


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


def test_a_server_without_a_log_says_so(client: TestClient) -> None:
    for method, path in (("POST", "/v1/feedback"), ("GET", "/v1/review"), ("GET", "/v1/monitor")):
        assert "--prediction-log" in assert_problem(client.request(method, path), 404, "no-prediction-log")["detail"]
    assert "/v1/feedback" not in client.get("/openapi.json").json()["paths"]


def test_corrections_and_undoing_them(logged: TestClient) -> None:
    (cat,) = predicted(logged, RED)
    first = say(logged, cat["id"]).json()
    second = say(logged, cat["id"], "corrected", label="Lion", note="a mane!", who="Ada")
    assert second.status_code == 201
    said = second.json()["said"]
    assert (said["verdict"], said["label"], said["label_id"]) == ("corrected", "lion", "lion-id")
    assert (said["note"], said["who"]) == ("a mane!", "Ada")
    assert opened(logged, state="done")["predictions"][0]["feedback"]["label"] == "lion"
    after = logged.delete(f"/v1/feedback/{said['number']}").json()
    assert after["stands"]["number"] == first["said"]["number"]
    assert after["said"]["undone"]
    assert logged.delete(f"/v1/feedback/{first['said']['number']}").json()["stands"] is None
    assert opened(logged, state="done")["total"] == 0
    assert opened(logged)["total"] == 1


def test_no_character_of_a_word_is_too_much_for_a_database(logged: TestClient) -> None:
    (cat,) = predicted(logged, RED)
    said = say(logged, cat["id"], note="a\x00mane", who="A\x00da")
    assert said.status_code == 201
    for word in (said.json()["said"], opened(logged, state="done")["predictions"][0]["feedback"]):
        assert (word["note"], word["who"]) == ("a\N{REPLACEMENT CHARACTER}mane", "A\N{REPLACEMENT CHARACTER}da")


def test_what_is_confirmed_is_what_was_claimed_and_no_more(client_with: MakeClient, tmp_path: Path) -> None:
    """A label, a group, "not an animal": a person who says yes to "feline" has not said cat."""
    groups = {"cat": "feline", "lion": "feline", "dog": "canine"}
    path = write_tiny_bundle(tmp_path / "tiny", groups=groups, background=("chair",), rollup={"threshold": 0.9})
    client = client_with(
        Classifier.load(path, engine="onnxruntime", threads=1), prediction_log=True, log_folder=str(tmp_path)
    )
    photos = {"dog": GREEN, "feline": (128, 0, 128), "not an animal": YELLOW}
    (dog, feline, chair) = predicted(client, *photos.values())
    assert [item["answer"]["name"] for item in (dog, feline, chair)] == list(photos)
    said = [say(client, item["id"]).json()["said"] for item in (dog, feline, chair)]
    assert [(word["label"], word["label_id"]) for word in said] == [
        ("dog", "dog-id"),
        ("feline", None),
        ("not an animal", None),
    ]
    table = list(csv.DictReader(io.StringIO(client.get("/v1/review/reviewed.csv").text)))
    assert [(row["predicted"], row["label"]) for row in table] == [
        ("not an animal", ""),
        ("feline", ""),
        ("dog", "dog"),
    ]
    assert [row["predicted_probability"] != "" for row in table] == [True, False, True]


def test_an_animal_that_the_model_does_not_know(logged: TestClient) -> None:
    """It is kept, offered from then on, and spelt as whoever was first spelt it."""
    (cat,) = predicted(logged, RED)
    said = say(logged, cat["id"], "corrected", label="  Pallas's \t cat ").json()["said"]
    assert (said["label"], said["label_id"]) == ("Pallas's cat", None)
    assert say(logged, cat["id"], "corrected", label="pallas's CAT").json()["said"]["label"] == "Pallas's cat"
    assert logged.get("/v1/review/labels").json()["others"] == ["Pallas's cat"]
    assert say(logged, cat["id"], "none").json()["said"]["label"] == "no animal"


def test_the_samples_of_the_page_are_not_asked_about(logged: TestClient) -> None:
    send(logged, *((f"{name}.jpg", example_path(name).read_bytes()) for name in EXAMPLES))
    send(logged, ("a.jpg", encoded(RED)), ("again.jpg", encoded(RED)))
    wait_for(logged, 1)
    page = opened(logged)
    assert [row["label"] for row in page["predictions"]] == ["cat"]
    assert page["total"] == 1


def test_none_of_the_labels(logged: TestClient) -> None:
    (chair,) = predicted(logged, YELLOW)
    assert say(logged, chair["id"], "none").json()["stands"]["verdict"] == "none"


@pytest.mark.parametrize(
    ("word", "status", "kind"),
    [
        ({"id": "lions", "verdict": "confirmed"}, 404, "no-such-prediction"),
        ({"id": NOBODY, "verdict": "none"}, 404, "no-such-prediction"),
        ({"id": "a\x00b", "verdict": "none"}, 404, "no-such-prediction"),
        ({"id": "", "verdict": "none"}, 422, "invalid-values"),
        ({"id": "x" * 37, "verdict": "none"}, 422, "invalid-values"),
        ({"id": "ID", "verdict": "corrected", "label": "=cmd()"}, 422, "no-such-label"),
        ({"id": "ID", "verdict": "corrected", "label": "No animal"}, 422, "no-such-label"),
        ({"id": "ID", "verdict": "corrected", "label": "x" * 201}, 422, "invalid-values"),
        ({"id": "ID", "verdict": "corrected"}, 422, "invalid-values"),
        ({"id": "ID", "verdict": "confirmed", "label": "cat"}, 422, "invalid-values"),
        ({"id": "ID", "verdict": "perhaps"}, 422, "invalid-values"),
        ({"id": "ID", "verdict": "none", "mood": "bad"}, 422, "invalid-values"),
        ({"id": "ID", "verdict": "none", "note": "x" * 2001}, 422, "invalid-values"),
    ],
)
def test_words_that_cannot_be_kept(logged: TestClient, word: dict[str, Any], status: int, kind: str) -> None:
    (cat,) = predicted(logged, RED)
    word = {key: cat["id"] if value == "ID" else value for key, value in word.items()}
    assert_problem(logged.post("/v1/feedback", json=word), status, kind)


def test_a_page_elsewhere_cannot_send_words_without_being_asked(logged: TestClient) -> None:
    """A form or a script of another site may send text without the browser asking this server first, but no JSON."""
    (cat,) = predicted(logged, RED)
    text = f'{{"id":"{cat["id"]}","verdict":"confirmed"}}'
    response = logged.post("/v1/feedback", content=text, headers={"content-type": "text/plain"})
    assert_problem(response, 422, "invalid-values")
    assert opened(logged, state="done")["total"] == 0


def test_a_word_is_said_in_the_name_of_its_key_and_only_that_key_or_an_admin_takes_it_back(
    client_with: MakeClient, tmp_path: Path
) -> None:
    made = {name: new_key(name, scopes) for name, scopes in KEEPERS.items()}
    write_keys(tmp_path / "keys.json", [key for _, key in made.values()])
    settings = {"keys_file": str(tmp_path / "keys.json"), "log_folder": str(tmp_path)}
    client = client_with(prediction_log=True, **settings)
    send_key = {name: {"X-API-Key": text} for name, (text, _) in made.items()}
    headers = {"content-type": "image/jpeg", **send_key["boss"]}
    identity = client.post("/v1/predict", content=encoded(RED), headers=headers).json()["predictions"][0]["id"]

    def word(name: str, who: str | None = None) -> int:
        body = {"id": identity, "verdict": "confirmed", "who": who}
        said = client.post("/v1/feedback", json=body, headers=send_key[name]).json()["said"]
        assert said["who"] == name, "whatever the client says"
        return int(said["number"])

    adas, bobs = word("Ada", who="Bob"), word("Bob")
    refused = client.delete(f"/v1/feedback/{adas}", headers=send_key["Bob"])
    assert_problem(refused, 403, "not-yours")
    assert rows(tmp_path, "animals_feedback", "number")[0]["undone"] is None
    assert client.delete(f"/v1/feedback/{adas}", headers=send_key["Ada"]).json()["said"]["undone"]
    assert client.delete(f"/v1/feedback/{bobs}", headers=send_key["boss"]).json()["stands"] is None
    assert client.delete("/v1/feedback/99", headers=send_key["Bob"]).status_code == 404


@pytest.mark.parametrize("number", ["0", "-1", "7", str(2**70), "one"])
def test_there_is_nothing_to_undo(logged: TestClient, number: str) -> None:
    assert logged.delete(f"/v1/feedback/{number}").status_code in {404, 422}


def test_the_review_has_the_doubtful_ones_first_with_their_photos(logged: TestClient, tmp_path: Path) -> None:
    cat, chair, dog = predicted(logged, RED, YELLOW, GREEN)
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("photos/??/*"))) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    page = opened(logged, limit=2)
    assert page["predictions"][0]["id"] == chair["id"]
    assert page["next"] == page["predictions"][1]["id"]
    rest = opened(logged, limit=2, after=page["next"])
    assert rest["next"] is None
    seen = [row["id"] for row in page["predictions"] + rest["predictions"]]
    assert sorted(seen) == sorted([cat["id"], chair["id"], dog["id"]])
    row = page["predictions"][0]
    assert row["unknown"]
    assert [item["label"] for item in row["top"]] == [item["label"] for item in chair["top"]]
    photo = logged.get(f"/v1/{row['photo']}")
    assert photo.headers["content-type"] == "image/jpeg"
    assert "sandbox" in photo.headers["content-security-policy"]
    with Image.open(BytesIO(photo.content)) as shown:
        assert shown.getpixel((5, 5)) == pytest.approx(YELLOW, abs=4)
    assert not shown.getexif()


@pytest.mark.parametrize("name", ["lions", "..%2F..%2Fpredictions.db", NOBODY])
def test_photos_that_are_not_there(logged: TestClient, name: str) -> None:
    assert logged.get(f"/v1/review/{name}/photo").status_code == 404


def test_photos_are_not_kept_unless_asked(client_with: MakeClient, tmp_path: Path) -> None:
    client = client_with(prediction_log=True, log_folder=str(tmp_path))
    predicted(client, RED)
    (row,) = opened(client)["predictions"]
    assert row["photo"] is None
    assert_problem(client.get(f"/v1/review/{row['id']}/photo"), 404, "no-such-photo")
    assert not (tmp_path / "photos").exists()


def test_originals_are_kept_as_they_came(client_with: MakeClient, tmp_path: Path) -> None:
    client = client_with(prediction_log=True, log_folder=str(tmp_path), keep_photos="original")
    png, tiff = encoded(RED, form="PNG"), encoded(RED, form="TIFF")
    send(client, ("a.png", png), ("b.tiff", tiff))
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("photos/??/*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    by_name = {row["file"]: client.get(f"/v1/{row['photo']}") for row in opened(client)["predictions"]}
    assert by_name["a.png"].content == png
    assert by_name["a.png"].headers["content-type"] == "image/png"
    assert by_name["b.tiff"].headers["content-type"] == "image/jpeg", "a browser cannot show the original"


def test_the_labels_for_corrections(logged: TestClient) -> None:
    labels = logged.get("/v1/review/labels").json()["labels"]
    assert labels[0] == {"id": "cat-id", "name": "cat", "group": "feline > small cat"}


def test_a_correction_is_in_the_words_of_the_model_that_answered(client_with: MakeClient, tmp_path: Path) -> None:
    """Whatever its name, if only as a canary, and what it answered itself even when it has gone since."""
    names = ("wolf", "bear", "fox", "hare", "deer", "boar", "lynx")
    path = write_tiny_bundle(tmp_path / "wild", names=names, name="wild")
    client = client_with(prediction_log=True, log_folder=str(tmp_path / "log"))
    service = client.app.state.service  # type: ignore[attr-defined]
    service.install_canary("tiny", LoadedModel(Classifier.load(path, engine="onnxruntime", threads=1)), 1.0)
    (wolf,) = predicted(client, RED)
    assert wolf["model"] == "wild"
    labels = client.get("/v1/review/labels", params={"model": "wild"}).json()["labels"]
    assert [label["name"] for label in labels] == list(names)
    own = {item["label"] for item in wolf["top"]}
    rest = next(name for name in names if name not in own)
    for name in ("wolf", "Wolf", "wolf-id", rest, f"{rest}-id"):
        said = say(client, wolf["id"], "corrected", label=name)
        assert said.status_code == 201, said.text
        assert said.json()["said"]["label"] == name.lower().removesuffix("-id")
    assert say(client, wolf["id"], "corrected", label="cat").json()["said"]["label_id"] is None

    service.install_canary("tiny", None, 1.0)
    assert_problem(client.get("/v1/review/labels", params={"model": "wild"}), 404, "no-such-model")
    assert say(client, wolf["id"], "corrected", label="wolf-id").json()["said"]["label"] == "wolf"
    assert say(client, wolf["id"], "corrected", label=rest).json()["said"]["label_id"] is None
    assert say(client, wolf["id"], "corrected", label="cat").json()["said"]["label"] == "cat"


def test_a_database_that_is_gone_is_503_and_answers_go_on(client_with: MakeClient, tmp_path: Path) -> None:
    (tmp_path / "predictions.db").mkdir()
    client = client_with(prediction_log=True, log_folder=str(tmp_path))
    (cat,) = predicted(client, RED)
    assert cat["label"] == "cat"
    for response in (client.get("/v1/review"), say(client, cat["id"]), client.get("/v1/monitor")):
        problem = assert_problem(response, 503, "log-unavailable")
        assert str(tmp_path) not in problem["detail"]
    (tmp_path / "predictions.db").rmdir()
    assert say(client, cat["id"]).status_code == 201


@pytest.mark.parametrize(
    ("error", "status", "kind", "told"),
    [
        (LogDatabaseError("postgresql://zoo: down"), 503, "log-unavailable", "cannot be reached"),
        (LogDatabaseError("postgresql://zoo: down", "the lions are out"), 503, "log-unavailable", "the lions are out"),
        (RefusedRowError("no code for 狮"), 422, "not-storable", "no code for 狮"),
    ],
)
def test_why_the_database_does_not_answer(
    logged: TestClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, kind: str, told: str
) -> None:
    (cat,) = predicted(logged, RED)
    wait_for(logged, 1)

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(feedback, "add", refuse)
    problem = assert_problem(say(logged, cat["id"]), status, kind)
    assert told in problem["detail"]
    assert "postgresql" not in problem["detail"]


@pytest.mark.parametrize("path", ["/v1/review", "/v1/review/ID/photo", "/v1/monitor"])
def test_whatever_goes_wrong_in_the_database_is_no_500(
    logged: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (cat,) = predicted(logged, RED)
    wait_for(logged, 1)

    def odd(*_: object, **__: object) -> None:
        raise TypeError("cannot use a string pattern on a bytes-like object")

    monkeypatch.setattr(Connection, "execute", odd)
    assert_problem(logged.get(path.replace("ID", cat["id"])), 503, "log-unavailable")


def test_photos_in_a_bucket_are_seen_by_every_replica(client_with: MakeClient, tmp_path: Path) -> None:
    """One database, one bucket, and nothing else in common."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    more = {"prediction_log": True, "log_url": url, "photos_url": "memory://replicas/photos", "keep_photos": "original"}
    first, second = (client_with(log_folder=str(tmp_path / number), **more) for number in "12")
    data = encoded(RED)
    (cat,) = send(first, ("cat.png", data)).json()["predictions"]
    wait_for(first, 1)
    deadline = time.monotonic() + 30
    while (entry := opened(second)["predictions"][0])["photo"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    shown = second.get(f"/v1/{entry['photo']}")
    assert (entry["id"], shown.content) == (cat["id"], data)
    assert not (tmp_path / "1" / "photos").exists()


def test_photos_go_when_their_time_is_over_also_where_none_are_kept_any_more(
    client_with: MakeClient, tmp_path: Path
) -> None:
    store = PhotoFolder(tmp_path / "photos")
    for number in range(2):
        store.put(f"{number:064x}", b"lion")
    old = store.path(f"{0:064x}")
    assert old is not None
    os.utime(old, (1, 1))
    client = client_with(prediction_log=True, log_folder=str(tmp_path), keep_photos="no")
    deadline = time.monotonic() + 30
    while old.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    predicted(client, RED)
    wait_for(client, 1)
    assert opened(client)["predictions"][0]["photo"] is None
    assert [path.name for path in (tmp_path / "photos").glob("??/*")] == [f"{1:064x}"]


@pytest.mark.parametrize(
    ("environment", "settings", "told"),
    [
        ({}, {}, []),
        ({"K_SERVICE": "zoo"}, {}, ["Cloud Run each replica keeps predictions"]),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {"log_url": "sqlite:////data/log.db"}, ["ANIMALS_LOG_URL"]),
        ({"K_SERVICE": "zoo"}, {"log_url": "postgresql://db/zoo"}, []),
        ({"K_SERVICE": "zoo"}, {"log_url": "postgresql://db/zoo", "keep_photos": "thumbnail"}, ["ANIMALS_PHOTOS_URL"]),
        ({"K_SERVICE": "zoo"}, {"keep_photos": "thumbnail"}, ["ANIMALS_LOG_URL", "ANIMALS_PHOTOS_URL"]),
        (
            {"K_SERVICE": "zoo"},
            {"log_url": "postgresql://db/zoo", "keep_photos": "thumbnail", "photos_url": "gs://zoo/photos"},
            [],
        ),
    ],
)
def test_replicas_that_cannot_share_are_warned_of(
    environment: dict[str, str], settings: dict[str, Any], told: list[str]
) -> None:
    lines = replica_warnings(Settings(prediction_log=True, **settings), environment)
    assert len(lines) == len(told)
    assert all(words in line for words, line in zip(told, lines, strict=True))


def test_the_warning_is_in_the_log(
    client_with: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("K_SERVICE", "zoo")
    client_with(prediction_log=True, log_folder=str(tmp_path))
    assert "each replica keeps predictions of its own" in caplog.text


def test_a_slow_database_holds_up_only_those_who_ask_it(
    tmp_path: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask: asyncio's own threads, which others use too, are not for this."""
    gate = threading.Event()
    at_work: list[None] = []
    real = feedback.review_page

    def slow(*arguments: Any, **named: Any) -> Any:
        at_work.append(None)
        assert gate.wait(20)
        return real(*arguments, **named)

    monkeypatch.setattr(feedback, "review_page", slow)
    app = create_app(classifier, Settings(prediction_log=True, log_folder=str(tmp_path)))

    async def scenario() -> None:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        async with app.router.lifespan_context(app), client:
            asking = [asyncio.create_task(client.get("/v1/review", params={"after": NOBODY})) for _ in range(64)]
            try:
                async with asyncio.timeout(10):
                    while len(at_work) < MAX_QUERIES:
                        await asyncio.sleep(0.005)
                    assert await asyncio.to_thread(lambda: 7) == 7
                    assert (await client.get("/metrics")).status_code == 200
                assert len(at_work) == MAX_QUERIES
            finally:
                gate.set()
            assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}

    asyncio.run(scenario())


def test_while_the_database_does_not_answer_few_wait_and_the_others_are_told(
    tmp_path: Path, classifier: Classifier
) -> None:
    predictions = PredictionLogger(
        Settings(prediction_log=True, log_folder=str(tmp_path)), ServerMetrics(), imaging.Limits()
    )
    gate = threading.Event()
    at_work: list[None] = []

    def black_hole() -> None:
        at_work.append(None)
        assert gate.wait(20)

    async def scenario() -> None:
        asking = [asyncio.create_task(predictions.query(black_hole)) for _ in range(MAX_QUERIES + MAX_WAITING)]
        while len(at_work) < MAX_QUERIES:
            await asyncio.sleep(0.005)
        with pytest.raises(ProblemError) as caught:
            await predictions.query(black_hole)
        assert (caught.value.status, caught.value.kind) == (503, "busy")
        for task in asking[:MAX_QUERIES]:
            task.cancel()  # their clients go away; the database still has their questions
        await asyncio.wait(asking[:MAX_QUERIES])
        await asyncio.sleep(0)
        assert len(at_work) == MAX_QUERIES
        gate.set()
        await asyncio.gather(*asking[MAX_QUERIES:])
        assert await predictions.query(lambda: 7) == 7

    try:
        asyncio.run(scenario())
    finally:
        predictions.close()


def test_a_status_for_the_page(logged: TestClient) -> None:
    cat, _ = predicted(logged, RED, YELLOW)
    say(logged, cat["id"])
    status = logged.get("/v1/monitor", params={"since": "1h"}).json()
    assert status["predictions"] == 2
    assert status["unknown"]["share"] == 0.5
    assert status["feedback"]["agreement"] == 1.0
    assert "database" not in status
    assert logged.get("/v1/monitor", params={"since": "9999w"}).json()["predictions"] == 2
    assert_problem(logged.get("/v1/monitor", params={"since": "lions"}), 422, "invalid-values")


def test_the_thumbnail_of_a_photo_that_takes_much_memory_is_made_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(prediction_log=True, log_folder=str(tmp_path), keep_photos="thumbnail")
    keeper = PredictionLogger(settings, ServerMetrics(), Limits())
    photo = encoded(RED, size=1500, form="PNG")
    here = keeper.thumbnail(photo)
    monkeypatch.setattr(prediction_logging, "LIGHT", DecodeBound(max_bytes=1 << 20, max_pixels=1 << 30))
    try:
        assert keeper.thumbnail(photo) == here is not None
        assert keeper._decoder.process is not None
    finally:
        keeper.close()
    assert keeper._decoder.process is None

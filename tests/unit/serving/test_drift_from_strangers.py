"""What a stranger may send to the drift API: an answer or one clear refusal, in time and memory that are bounded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animal_classification.inference import Classifier
from animal_classification.serving.http.drift_samples import MAX_REST, most_bytes, window_of_json
from animal_classification.serving.http.problem_details import ProblemError
from tests.support.drift_log import DIMENSIONS, LABELS, embedded, write_watched_bundle
from tests.unit.serving.conftest import assert_problem

MakeClient = Callable[..., TestClient]
COUNT = 50


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    path = write_watched_bundle(tmp_path_factory.mktemp("watched") / "tiny")
    return Classifier.load(path, engine="onnxruntime", threads=2)


def post(client: TestClient, body: bytes) -> Any:
    return client.post("/v1/drift", content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e300", "1e39", "65505", "-70000"])
@pytest.mark.parametrize("name", ["embeddings", "stats", "known", "probability"])
def test_numbers_that_are_none_are_refused(
    number: str, name: str, client_with: MakeClient, watched: Classifier
) -> None:
    """Yesterday an infinite brightness was an internal error."""
    body = embedded(60)
    first, *others = body[name]
    body[name] = [["@"] * len(first) if isinstance(first, list) else "@", *others]
    text = json.dumps(body).replace('"@"', number).encode()
    detail = assert_problem(post(client_with(watched), text), 422, "invalid-values")["detail"]
    assert name in detail


numbers = st.sampled_from([0.0, 1.0, -1.0, 65504.0, -65504.0, 1e-30, 1e-7, 0.5])


def lists_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(inner, min_size=1, max_size=3)


sent = st.fixed_dictionaries(
    {
        "embeddings": lists_of(st.lists(numbers, min_size=DIMENSIONS, max_size=DIMENSIONS)),
        "stats": lists_of(st.lists(numbers, min_size=12, max_size=12)),
        "known": lists_of(st.sampled_from([0.0, 1.0, 0.5, 1e-300])),
        "probability": lists_of(st.sampled_from([0.0, 1.0, 0.5])),
        "pred": lists_of(st.sampled_from([f"{LABELS[0]}-id", "nobody", "", "\u0000"])),
        "source": lists_of(st.sampled_from(["", "a", "\u202e", "\n"])),
    }
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(few=sent, noisy=st.booleans())
def test_any_numbers_are_judged_or_refused(
    few: dict[str, list[Any]], noisy: bool, client_with: MakeClient, watched: Classifier
) -> None:
    """A few values of each list, again and again; else among embeddings as they are."""
    body = {name: (values * 120)[:120] for name, values in few.items()}
    if noisy:
        usual = embedded(120)["embeddings"]
        body["embeddings"] = [body["embeddings"][at] if at % 5 == 0 else one for at, one in enumerate(usual)]
    answer = client_with(watched).post("/v1/drift", json=body)
    assert answer.status_code in (200, 422), answer.text


def test_a_body_is_as_large_as_the_model_can_use(client_with: MakeClient, watched: Classifier) -> None:
    """Yesterday it was read, and copied three times, up to the 256 MB of photos."""
    client = client_with(watched)
    most = most_bytes(DIMENSIONS)
    assert most < 2 << 20
    assert_problem(post(client, b" " * (most + 1)), 413, "request-too-large")
    assert_problem(post(client, b" " * most), 422, "invalid-values")


class Fewest(bytearray):
    """Notes how much of it is copied at once."""

    largest = 0

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        if isinstance(found, (bytes, bytearray)):
            Fewest.largest = max(Fewest.largest, len(found))
        return found


@pytest.mark.parametrize(
    "body",
    [
        b'{"x":"' + b" " * (8 << 20),
        b'{"embeddings":' + b" " * (8 << 20) + b"[",
        b'{"embeddings":[[1]' + b" " * (8 << 20),
        b'{"embeddings":[' + b"[" * (8 << 20),
        b'{"embeddings":[' + b"[1," * (8 << 20),
        b'{"embeddings":[' + b",".join([b"[1,0,0,0]"] * COUNT) + b'],"x":"' + b"x" * (8 << 20) + b'"}',
        b'{"embeddings":[' + b",".join([b"[1,0,0,0]"] * COUNT) + b'],"known":[' + b"[]," * (MAX_REST // 4) + b"[]]}",
        b'{"embeddings":['
        + b",".join([b"[1,0,0,0]"] * COUNT)
        + b"],"
        + b",".join(b'"%d":0' % number for number in range(20_000))
        + b"}",
    ],
    ids=["no list", "blanks before", "blanks between", "nested", "long row", "long rest", "lists", "names"],
)
def test_nothing_holds_the_interpreter_up(body: bytes, watched: Classifier) -> None:
    """No call works through megabytes, or copies them, with the interpreter's lock held."""
    Fewest.largest = 0
    with pytest.raises(ProblemError) as caught:
        window_of_json(Fewest(body), watched.info, 4)
    assert caught.value.status == 422
    assert len(caught.value.detail) < 1000
    assert Fewest.largest <= MAX_REST


def test_a_filter_that_no_database_takes(client_with: MakeClient, watched: Classifier, tmp_path: Path) -> None:
    client = client_with(watched, prediction_log=True, log_folder=str(tmp_path))
    for value in ("%00", "a%00b", "%F0%9F%A6%81", "'%20OR%201=1--"):
        answer = client.get(f"/v1/drift?model={value}&source={value}")
        assert (answer.status_code, answer.json()["newest"], answer.json()["verdicts"]) == (200, [], [])

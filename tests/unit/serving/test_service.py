"""Problems, readiness, models, and that the event loop stays free."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from animal_classification.errors import BundleError, EngineError, UsageError
from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.serving.http.problem_details import ProblemError
from animal_classification.serving.http.uploads import UploadedPhoto
from animal_classification.serving.models.loader import fastest_batch, warm_up
from animal_classification.serving.service import ModelService
from animal_classification.settings import Settings
from tests.unit.serving.conftest import BLUE, GREEN, RED, FakePredictor, assert_problem, encoded, send

MakeClient = Callable[..., TestClient]


def test_not_ready_until_the_model_is_there(classifier: Classifier) -> None:
    app = create_app(None)
    with TestClient(app) as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        for response in (client.get("/readyz"), client.get("/v1/models"), send(client, ("a.jpg", encoded(RED)))):
            assert_problem(response, 503, "not-ready")
            assert response.headers["retry-after"] == "1"
        app.state.service.install(classifier)
        assert client.get("/readyz").json() == {"status": "ready"}
        assert send(client, ("a.jpg", encoded(RED))).status_code == 200


def test_unknown_paths_and_methods(client: TestClient) -> None:
    assert "/v1/predictions" in assert_problem(client.get("/v1/predictions"), 404)["detail"]
    for method, path, allowed in (
        ("GET", "/v1/predict", {"POST"}),
        ("POST", "/healthz", {"GET"}),
        ("PUT", "/", {"GET", "HEAD"}),
    ):
        response = client.request(method, path)
        assert_problem(response, 405)
        assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("error", [ValueError("secret /srv/models"), EngineError("secret"), BundleError("secret")])
def test_a_failure_of_ours_tells_strangers_nothing(
    client_with: MakeClient, classifier: Classifier, error: Exception
) -> None:
    def fail(_: bytes) -> None:
        raise error

    response = send(client_with(FakePredictor(classifier, fail)), ("a.jpg", encoded(RED)))
    assert "secret" not in assert_problem(response, 500)["detail"]


def test_a_failure_of_the_caller_is_explained(client_with: MakeClient, classifier: Classifier) -> None:
    def fail(_: bytes) -> None:
        raise UsageError("top_k must be at least 1, not 0")

    response = send(client_with(FakePredictor(classifier, fail)), ("a.jpg", encoded(RED)))
    assert "at least 1" in assert_problem(response, 422)["detail"]


def test_models(client: TestClient) -> None:
    (summary,) = client.get("/v1/models").json()["models"]
    assert summary == {"name": "tiny", "version": "1", "classes": 3, "engine": "onnxruntime"}
    facts = client.get("/v1/models/tiny").json()
    assert facts["labels"] == ["cat", "dog", "lion"]
    assert facts["sha256"]
    assert not {"path", "config"} & facts.keys(), "where it lies is nobody's business"
    assert "tiny" in assert_problem(client.get("/v1/models/lions"), 404, "no-such-model")["detail"]


def test_as_many_photos_at_work_as_there_are_threads_and_the_loop_stays_free(classifier: Classifier) -> None:
    at_work, most, lock = 0, 0, threading.Lock()

    def slow(_: bytes) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.02)
        with lock:
            at_work -= 1

    async def scenario() -> int:
        service = ModelService()
        service.install(FakePredictor(classifier, slow))
        photo = UploadedPhoto("a.jpg", encoded(RED))
        work = asyncio.gather(*(service.predict([photo] * 4) for _ in range(3)))
        turns = 0
        while not work.done():
            turns += 1
            await asyncio.sleep(0.001)
        service.close()
        assert all(outcome.result.prediction for outcomes in await work for outcome in outcomes)
        return turns

    assert asyncio.run(scenario()) > 10
    assert most == classifier.threads


def test_a_refused_request_tells_nobody_of_what_was_remembered(classifier: Classifier) -> None:
    told: list[str] = []
    red, green, blue = (UploadedPhoto("a.jpg", encoded(colour)) for colour in (RED, GREEN, BLUE))

    async def scenario() -> None:
        settings = Settings(cache_size=10, queue_size=1, max_files=1)
        service = ModelService(settings, on_answer=lambda answered: told.append(answered.outcome.id))
        service.install(classifier)
        first = await service.predict([red])
        with pytest.raises(ProblemError, match="too many photos"):
            await service.predict([red, green, blue])
        again = await service.predict([red, green])
        service.close(20)
        assert sorted(told) == sorted(outcome.id for outcome in first + again)

    asyncio.run(scenario())


def test_the_end_waits_for_a_photo_that_is_at_work(classifier: Classifier) -> None:
    """A process that exits while a thread is inside an inference engine is aborted."""
    begun, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(_: object) -> None:
        begun.set()
        assert gate.wait(20)
        ended.set()

    async def scenario() -> None:
        app = create_app(FakePredictor(classifier, before_inference=slow))
        async with app.router.lifespan_context(app):
            asking = asyncio.create_task(app.state.service.predict([UploadedPhoto("a.jpg", encoded(RED))]))
            assert await asyncio.to_thread(begun.wait, 20)
            asyncio.get_running_loop().call_later(0.05, gate.set)
        assert ended.is_set()
        asking.cancel()

    asyncio.run(scenario())


def test_warm_up_answers_once(classifier: Classifier) -> None:
    seen: list[bytes] = []

    warm_up(FakePredictor(classifier, seen.append))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("milliseconds", "batch"),
    [({1: 20, 2: 22, 4: 24}, 4), ({1: 20, 2: 45, 4: 95}, 1), ({1: 20, 2: 28, 4: 80}, 2)],
)
def test_batches_are_made_where_they_are_clearly_faster(
    classifier: Classifier, milliseconds: dict[int, int], batch: int
) -> None:
    passed = 0

    def infer(pixels: Sequence[NDArray[np.uint8]]) -> None:
        nonlocal passed
        passed += milliseconds[len(pixels)]

    assert fastest_batch(FakePredictor(classifier, before_inference=infer), clock=lambda: passed / 1000) == batch

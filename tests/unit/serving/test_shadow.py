"""A shadow: compared and never answering, on time that nobody else wants."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.serving.http.uploads import UploadedPhoto
from animal_classification.serving.models import shadow as shadows
from animal_classification.serving.models.loader import LoadedModel
from animal_classification.serving.models.shadow import MAX_PHOTOS, Shadow
from animal_classification.serving.service import ModelService
from tests.support.tiny_bundle import write_tiny_bundle
from tests.unit.serving.conftest import BLUE, GREEN, RED, FakePredictor, encoded, send


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Calls green photos otherwise, and red ones alike."""
    path = write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "other", names=("cat", "wolf", "lion"), version="2")
    return Classifier.load(path, engine="onnxruntime", threads=1)


@pytest.fixture
def served(classifier: Classifier) -> Iterator[tuple[TestClient, ModelService]]:
    app = create_app(classifier)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client, app.state.service


def wait_until(check: Callable[[], bool]) -> None:
    async def turns() -> None:
        async with asyncio.timeout(20):
            while not check():
                await asyncio.sleep(0.002)

    asyncio.run(turns())


def shadow_of(service: ModelService) -> Shadow:
    shadow = service.models.find().shadow
    assert shadow is not None
    return shadow


def test_it_is_compared_and_answers_nobody(served: tuple[TestClient, ModelService], other: Classifier) -> None:
    client, service = served
    service.install_shadow("tiny", LoadedModel(other), 1.0)
    for colour, label in ((RED, "cat"), (GREEN, "dog"), (BLUE, "lion"), (RED, "cat")):
        (entry,) = send(client, ("a.jpg", encoded(colour))).json()["predictions"]
        assert (entry["label"], entry["version"]) == (label, "1")
    wait_until(lambda: shadow_of(service).comparison.compared == 4)
    shown = client.get("/v1/models/tiny")
    assert "etag" not in shown.headers
    comparison = shown.json()["shadow"]
    assert (comparison["version"], comparison["share"]) == ("2", 1.0)
    assert (comparison["compared"], comparison["agreement"], comparison["failed"]) == (4, 0.75, 0)
    assert abs(comparison["confidence_difference"]) < 0.01
    assert min(comparison["answer_seconds"], comparison["shadow_seconds"]) > 0
    text = client.get("/metrics").text
    assert 'animals_shadow_total{model="tiny",result="agreed"} 3.0' in text
    assert 'animals_shadow_total{model="tiny",result="differed"} 1.0' in text
    assert 'animals_shadow_duration_seconds_count{by="shadow",model="tiny"} 4.0' in text
    assert 'version="2"' not in text, "it answers nobody"


def test_what_finds_no_room_is_dropped_and_counted_and_a_slow_shadow_holds_up_nobody(
    served: tuple[TestClient, ModelService], other: Classifier
) -> None:
    client, service = served
    gate = threading.Event()

    def hold(_: bytes) -> None:
        assert gate.wait(20)

    service.install_shadow("tiny", LoadedModel(FakePredictor(other, hold)), 1.0)
    photo = encoded(RED)
    for _ in range(2):
        answer = send(client, *[(f"{number}.jpg", photo) for number in range(MAX_PHOTOS)])
        assert [entry["label"] for entry in answer.json()["predictions"]] == ["cat"] * MAX_PHOTOS
    wait_until(lambda: shadow_of(service).comparison.dropped >= MAX_PHOTOS - 1)
    gate.set()
    shadow = shadow_of(service)
    wait_until(lambda: shadow.comparison.compared + shadow.comparison.dropped == 2 * MAX_PHOTOS)
    assert f'result="dropped"}} {shadow.comparison.dropped:.1f}' in client.get("/metrics").text


def test_a_shadow_that_fails_is_its_own_trouble(served: tuple[TestClient, ModelService], other: Classifier) -> None:
    client, service = served

    def fail(_: bytes) -> None:
        raise MemoryError

    service.install_shadow("tiny", LoadedModel(FakePredictor(other, fail)), 1.0)
    assert send(client, ("a.jpg", encoded(RED))).status_code == 200
    wait_until(lambda: shadow_of(service).comparison.failed == 1)
    service.install_shadow("tiny", LoadedModel(other), 1.0)
    assert shadow_of(service).comparison.failed == 0, "another model, another comparison"
    assert send(client, ("a.jpg", encoded(RED))).status_code == 200
    wait_until(lambda: shadow_of(service).comparison.compared == 1)
    service.install_shadow("tiny", None, 1.0)
    assert send(client, ("a.jpg", encoded(RED))).status_code == 200
    assert client.get("/v1/models/tiny").json()["shadow"]["version"] is None


def test_nothing_is_looked_for_while_there_is_no_shadow(
    served: tuple[TestClient, ModelService], other: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo that comes in the moment in which the shadow goes waits, and keeps no core busy meanwhile."""
    _, service = served
    asked: list[float] = []

    def spare(seconds: float) -> bool:
        asked.append(seconds)
        return True

    shadow = Shadow("tiny", 1.0, spare, service.metrics.models)
    shadow.install(LoadedModel(other))

    def leave(*_: object) -> float:
        shadow.install(None)
        return 0.0

    photo = UploadedPhoto("a.jpg", encoded(RED))
    (outcome,) = asyncio.run(service.predict([photo]))
    with monkeypatch.context() as patched:
        patched.setattr(shadows, "sample_point", leave)
        shadow.offer(photo, outcome, "1")
    time.sleep(0.1)
    assert asked == []
    shadow.install(LoadedModel(other))
    shadow.offer(photo, outcome, "1")
    wait_until(lambda: shadow.comparison.compared == 1)
    shadow.close(20)


def test_the_end_waits_for_the_photo_that_is_compared(
    served: tuple[TestClient, ModelService], other: Classifier
) -> None:
    client, service = served
    begun, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def hold(_: bytes) -> None:
        begun.set()
        assert gate.wait(20)
        ended.set()

    service.install_shadow("tiny", LoadedModel(FakePredictor(other, hold)), 1.0)
    assert send(client, ("a.jpg", encoded(RED))).status_code == 200
    assert begun.wait(20)
    threading.Timer(0.05, gate.set).start()
    shadow_of(service).close(20)
    assert ended.is_set()


def test_a_share_of_the_photos(served: tuple[TestClient, ModelService], other: Classifier, tmp_path: Path) -> None:
    client, service = served
    service.install_shadow("tiny", LoadedModel(other), 0.5)
    sent = 60
    for number in range(sent):
        assert send(client, ("a.png", encoded((number, 0, 0), form="PNG"))).status_code == 200
        expected = shadow_of(service)
        wait_until(lambda expected=expected: not expected._waiting)  # type: ignore[misc]
    wait_until(lambda: shadow_of(service).comparison.compared >= 10)
    assert 10 <= shadow_of(service).comparison.compared + shadow_of(service).comparison.dropped <= 50

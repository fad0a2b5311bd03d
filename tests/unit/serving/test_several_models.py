"""Several models in one server: which one answers, and what happens when one takes over from another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.serving.batching.model_queue import Bounds, InferenceWorkers
from animal_classification.serving.http.uploads import UploadedPhoto
from animal_classification.serving.models.loader import LoadedModel
from animal_classification.serving.models.routing import sample_point
from animal_classification.serving.service import ModelService
from animal_classification.settings import Settings
from tests.support.tiny_bundle import write_tiny_bundle
from tests.unit.serving.conftest import GREEN, RED, FakePredictor, assert_problem, encoded, send
from tests.unit.serving.test_batching import Gate, both_busy, until

Make = Callable[..., Classifier]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes classifiers that call a red photo by the first of their names."""

    def make(name: str, version: str, *names: str) -> Classifier:
        path = write_tiny_bundle(tmp_path_factory.mktemp("bundles") / name, names=names, name=name, version=version)
        return Classifier.load(path, engine="onnxruntime", threads=2)

    return make


@pytest.fixture(scope="session")
def zoo(made: Make) -> Classifier:
    return made("zoo", "1", "wolf", "bear", "fox")


@pytest.fixture(scope="session")
def newer(made: Make) -> Classifier:
    return made("zoo", "2", "hare", "deer", "boar")


@pytest.fixture
def service(classifier: Classifier, zoo: Classifier) -> ModelService:
    service = ModelService(Settings(cache_size=100))
    service.install(classifier)
    service.install(zoo)
    return service


@pytest.fixture
def client(service: ModelService) -> Iterator[TestClient]:
    app = create_app(None, Settings())
    app.state.service.models = service.models
    app.state.service._workers = service._workers
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def entry_of(response: Any) -> tuple[str, str, str]:
    assert response.status_code == 200, response.text
    (entry,) = response.json()["predictions"]
    return entry["model"], entry["version"], entry["label"]


def test_a_request_chooses_its_model(client: TestClient) -> None:
    photo = ("a.jpg", encoded(RED))
    assert entry_of(send(client, photo)) == ("tiny", "1", "cat"), "the first is the default"
    assert entry_of(send(client, photo, model="zoo")) == ("zoo", "1", "wolf")
    files = {"files": photo}
    assert entry_of(client.post("/v1/predict?model=zoo", files=files)) == ("zoo", "1", "wolf")
    assert entry_of(client.post("/v1/predict?model=zoo", files=files, data={"model": "tiny"})) == ("tiny", "1", "cat")
    for response in (client.post("/v1/predict?model=lions", files=files), send(client, photo, model="lions")):
        assert "there is: tiny 1, zoo 1" in assert_problem(response, 404, "no-such-model")["detail"]
    assert_problem(client.post("/v1/predict?model=", files=files), 422, "invalid-values")


def test_all_models_are_listed_and_described(client: TestClient) -> None:
    assert [model["name"] for model in client.get("/v1/models").json()["models"]] == ["tiny", "zoo"]
    assert client.get("/v1/models/zoo").json()["labels"] == ["wolf", "bear", "fox"]
    assert client.get("/v2/models/zoo").json()["versions"] == ["1"]
    assert client.get("/v2/models/zoo/versions/2").status_code == 404


def test_a_new_version_takes_over_and_what_was_remembered_goes_with_the_old_one(
    service: ModelService, newer: Classifier
) -> None:
    async def scenario() -> None:
        photo = UploadedPhoto("a.jpg", encoded(RED))
        for expected in ("wolf", "wolf"):
            with service.using("zoo", [photo]) as model:
                (outcome,) = await service.predict([photo], model=model)
                assert outcome.result.prediction.label == expected
        service.install(newer)
        with service.using("zoo", [photo]) as model:
            (outcome,) = await service.predict([photo], model=model)
            assert (model.info.version, outcome.result.prediction.label) == ("2", "hare")
        service.close()

    asyncio.run(scenario())
    text = service.metrics.render().decode()
    assert f'animals_model_info{{model="zoo",sha256="{newer.bundle.sha256}",version="2"}} 1.0' in text
    assert 'animals_predictions_total{label="hare",model="zoo",version="2"} 1.0' in text
    assert text.count('model="zoo",sha256=') == 2
    assert text.count("} 0.0") >= 1, "the old one's info is 0"


def test_a_request_on_its_way_is_answered_by_the_version_that_it_began_with(zoo: Classifier, newer: Classifier) -> None:
    gate = Gate(zoo)

    async def scenario() -> None:
        service = ModelService()
        service.install(gate)
        old = service.models.find().current
        photo = UploadedPhoto("a.jpg", encoded(RED))
        with service.using() as model:
            work = asyncio.create_task(service.predict([photo] * 3, model=model))
            await both_busy(service)
            service.install(newer)
            assert service.predictor is newer
            assert old.queue in service._workers._lanes, "it still answers"
            gate.open.set()
            outcomes = await work
            assert {outcome.result.prediction.label for outcome in outcomes} == {"wolf"}
            assert model.info.version == "1"
        assert old.queue not in service._workers._lanes, "nobody waits for it any more"
        (outcome,) = await service.predict([photo])
        assert outcome.result.prediction.label == "hare"
        service.close(20)

    asyncio.run(scenario())


def test_a_canary_answers_its_share_and_the_same_photo_always_gets_the_same(zoo: Classifier, newer: Classifier) -> None:
    service = ModelService()
    service.install(zoo)
    service.install_canary("zoo", LoadedModel(newer), 0.3)
    slot = service.models.find()
    photos = [UploadedPhoto("a", number.to_bytes(4, "little") * 100) for number in range(2000)]
    chosen = [slot.choose([photo]) for photo in photos]
    assert chosen == [slot.choose([photo]) for photo in photos]
    assert sum(model.info.version == "2" for model in chosen) / len(chosen) == pytest.approx(0.3, abs=0.05)
    assert slot.choose([]) is slot.current
    with service.using("zoo", version="2") as model:
        assert model.predictor is newer
    service.install_canary("zoo", None, 0.3)
    assert {slot.choose([photo]) for photo in photos} == {slot.current}


def test_a_canary_is_shown_with_its_share(client: TestClient, service: ModelService, newer: Classifier) -> None:
    service.install_canary("zoo", LoadedModel(newer), 1.0)
    assert entry_of(send(client, ("a.jpg", encoded(RED)), model="zoo")) == ("zoo", "2", "hare")
    canary = {"name": "zoo", "version": "2", "share": 1.0}
    assert client.get("/v1/models").json()["models"][1]["canary"] == canary
    assert client.get("/v1/models/zoo").json()["canary"] == canary
    assert client.get("/v2/models/zoo").json()["versions"] == ["1", "2"]
    tags = {client.get("/v1/models/zoo").headers["etag"]}
    service.install_canary("zoo", None, 1.0)
    tags.add(client.get("/v1/models/zoo").headers["etag"])
    assert len(tags) == 2
    answer = client.get("/v1/models/zoo", headers={"If-None-Match": tags.pop()})
    assert answer.status_code in {200, 304}


def test_fractions_are_even_and_differ_by_purpose() -> None:
    numbers = [sample_point(bytes([n % 256, n // 256]), b"canary") for n in range(4000)]
    assert all(0 <= number < 1 for number in numbers)
    assert sum(numbers) / len(numbers) == pytest.approx(0.5, abs=0.03)
    assert sample_point(b"x", b"canary") != sample_point(b"x", b"shadow")
    large = bytes(10_000_000)
    assert sample_point(large, b"canary") == sample_point(bytes(10_000_000), b"canary")


def test_a_busy_model_does_not_starve_another(classifier: Classifier, zoo: Classifier) -> None:
    decoded_before: list[int] = []
    gate = Gate(classifier)
    gate.threads = 1

    async def scenario() -> None:
        service = ModelService(Settings(queue_size=100))
        service.install(gate, batch=2)
        service.install(FakePredictor(zoo, before_inference=lambda _: decoded_before.append(gate.decoded)), batch=2)
        photo = UploadedPhoto("a.jpg", encoded(RED))
        many = [asyncio.create_task(service.predict([photo])) for _ in range(40)]
        await until(lambda: 38 <= service._workers.depth < 40)  # the thread has taken some
        with service.using("zoo") as model:
            one = asyncio.create_task(service.predict([UploadedPhoto("b.jpg", encoded(GREEN))], model=model))
            await until(lambda: model.queue.depth == 1)
            gate.open.set()
            await one
        await asyncio.gather(*many)
        service.close(20)

    asyncio.run(scenario())
    assert decoded_before[0] <= 2, "it waited for what was begun, and not for all of the other's"


def test_queues_are_bounded_each_by_itself_and_waits_are_foreseen_over_all() -> None:
    workers = InferenceWorkers(threads=1)
    busy, calm = (workers.lane(lambda _: None, Bounds(chunk=2, size=10)) for _ in range(2))
    busy._pace = calm._pace = 1.0
    waiting: Any = object()
    busy._waiting.extend([waiting] * 9)
    assert busy.expected_wait == 9.0
    assert calm.expected_wait == 2.0, "queues take turns"
    assert workers.depth == 9
    busy.close()
    assert workers.depth == 0
    assert calm.expected_wait == 0.0


def test_spare_is_what_nobody_needs(zoo: Classifier) -> None:
    gate = Gate(zoo)

    async def scenario() -> None:
        service = ModelService()
        service.install(gate)
        workers = service._workers
        assert workers is not None
        assert workers.spare(0.0)
        tasks = [asyncio.create_task(service.predict([UploadedPhoto("a.jpg", encoded(RED))])) for _ in range(2)]
        await both_busy(service)
        assert not workers.spare(0.0)
        heard = threading.Event()

        def listen() -> None:
            if workers.spare(20.0):
                heard.set()

        threading.Thread(target=listen, daemon=True).start()
        gate.open.set()
        await asyncio.gather(*tasks)
        assert await asyncio.to_thread(heard.wait, 20)
        service.close(20)
        assert not workers.spare(0.0)

    asyncio.run(scenario())


def test_a_heatmap_is_never_of_another_model(made: Make, tmp_path: Path) -> None:
    own = made("own", "1", "wolf", "bear", "fox")
    model = own.bundle.model_path
    model.write_bytes(model.read_bytes()[:-4] + b"\0\0\0\0")
    client = TestClient(create_app(own), raise_server_exceptions=False)
    with client:
        answer = send(client, ("a.jpg", encoded(RED)), heatmap="true")
        assert entry_of(answer) == ("own", "1", "wolf")
        assert answer.json()["predictions"][0].get("heatmap") is None
        assert entry_of(send(client, ("a.jpg", encoded(RED)))) == ("own", "1", "wolf")


def test_a_model_goes_by_the_name_that_it_was_given(zoo: Classifier) -> None:
    info = zoo.info.model_copy(update={"name": "beasts", "version": "7"})
    renamed = Classifier.load(replace(zoo.bundle, info=info), engine="onnxruntime", threads=1)
    with TestClient(create_app(renamed)) as client:
        assert entry_of(send(client, ("a.jpg", encoded(RED)))) == ("beasts", "7", "wolf")

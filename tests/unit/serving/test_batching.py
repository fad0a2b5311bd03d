"""Photos of many requests in batches, and what becomes of them when there are too many."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from animal_classification.errors import EngineError
from animal_classification.imaging import DecodeBound, Limits, PreprocessSpec
from animal_classification.imaging.decoder_process import DecoderProcesses
from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.serving.batching import inference_jobs
from animal_classification.serving.batching.model_queue import InferenceWorkers
from animal_classification.serving.http.problem_details import ProblemError
from animal_classification.serving.http.uploads import UploadedPhoto
from animal_classification.serving.service import ModelService
from animal_classification.settings import Settings
from tests.unit.serving.conftest import BLUE, GREEN, RED, FakePredictor, assert_problem, encoded

PHOTO = UploadedPhoto("a.jpg", encoded(RED))


class Gate(FakePredictor):
    """Holds every thread up, before it decodes, until the gate is opened; remembers the batches."""

    def __init__(self, real: Classifier) -> None:
        self.open = threading.Event()
        self.batches: list[int] = []
        self.decoded = 0
        super().__init__(real, self._wait, self._remember)

    def _wait(self, _: bytes) -> None:
        assert self.open.wait(20)
        self.decoded += 1

    def _remember(self, pixels: Sequence[NDArray[np.uint8]]) -> None:
        self.batches.append(len(pixels))


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not check():
            await asyncio.sleep(0.001)


def workers_of(service: ModelService) -> InferenceWorkers:
    assert service._workers is not None
    return service._workers


def depth_of(service: ModelService) -> int:
    return workers_of(service).depth


async def both_busy(service: ModelService) -> None:
    """Both threads hold a photo, so that nothing leaves the queue."""
    await until(lambda: len(workers_of(service)._started) == 2 and workers_of(service)._idle == 0)


@asynccontextmanager
async def running(predictor: Any, **settings: Any) -> AsyncIterator[ModelService]:
    service = ModelService(Settings(**{"max_files": 2} | settings))
    service.install(predictor)
    try:
        yield service
    finally:
        if isinstance(predictor, Gate):
            predictor.open.set()
        service.close(timeout=20)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def test_idle_cores_share_the_photos_and_nobody_waits_for_a_batch(classifier: Classifier) -> None:
    gate = Gate(classifier)

    async def scenario() -> None:
        async with running(gate) as service:
            await service.run(int)  # the threads are up
            both = asyncio.gather(service.predict([PHOTO]), service.predict([PHOTO]))
            await until(lambda: depth_of(service) == 0)
            gate.open.set()
            await both

    run(scenario())
    assert gate.batches == [1, 1]


def test_what_waits_for_busy_cores_goes_in_batches_across_requests(classifier: Classifier) -> None:
    gate = Gate(classifier)

    async def scenario() -> None:
        async with running(gate) as service:
            first = [asyncio.create_task(service.predict([PHOTO])) for _ in range(2)]
            await both_busy(service)
            later = [asyncio.create_task(service.predict([PHOTO])) for _ in range(8)]
            await until(lambda: depth_of(service) == 8)
            gate.open.set()
            answers = await asyncio.gather(*first, *later)
            assert all(outcome.result.prediction.label == "cat" for (outcome,) in answers)

    run(scenario())
    assert sum(gate.batches) == 10
    assert max(gate.batches) == 4


def test_each_request_gets_its_own_answers_and_as_many_labels_as_it_asked_for(classifier: Classifier) -> None:
    gate = Gate(classifier)
    colours = {"cat": RED, "dog": GREEN, "lion": BLUE}

    async def scenario() -> None:
        async with running(gate) as service:
            asked = [(label, top_k) for label in colours for top_k in (1, 2, 3)]
            tasks = [
                asyncio.create_task(service.predict([UploadedPhoto(label, encoded(colours[label]))], top_k=top_k))
                for label, top_k in asked
            ]
            gate.open.set()
            for (label, top_k), (outcome,) in zip(asked, await asyncio.gather(*tasks), strict=True):
                assert (outcome.result.path, outcome.result.prediction.label) == (label, label)
                assert len(outcome.result.prediction.top) == top_k

    run(scenario())


def test_a_photo_that_breaks_the_decoder_fails_alone(classifier: Classifier) -> None:
    poison = UploadedPhoto("poison", b"poison")

    def explode(photo: bytes) -> None:
        if photo == poison.data:
            raise MemoryError("boom")

    async def scenario() -> None:
        async with running(FakePredictor(classifier, explode)) as service:
            work = [service.predict([photo]) for photo in (PHOTO, poison, PHOTO, PHOTO)]
            results = await asyncio.gather(*work, return_exceptions=True)
            assert [isinstance(result, MemoryError) for result in results] == [False, True, False, False]

    run(scenario())


def test_an_engine_that_fails_fails_its_batch_and_goes_on(classifier: Classifier) -> None:
    left = 1

    def fail_once(_: object) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise EngineError("once")

    async def scenario() -> None:
        async with running(FakePredictor(classifier, before_inference=fail_once)) as service:
            with pytest.raises(EngineError):
                await service.predict([PHOTO])
            (outcome,) = await service.predict([PHOTO])
            assert outcome.result.prediction.label == "cat"

    run(scenario())


def test_a_full_queue_says_no_and_takes_nothing(classifier: Classifier) -> None:
    gate = Gate(classifier)

    async def scenario() -> None:
        async with running(gate, queue_size=3) as service:
            tasks = [asyncio.create_task(service.predict([PHOTO])) for _ in range(2)]
            await both_busy(service)
            tasks += [asyncio.create_task(service.predict([PHOTO])) for _ in range(2)]
            await until(lambda: depth_of(service) == 2)
            with pytest.raises(ProblemError) as caught:
                await service.predict([PHOTO, PHOTO])
            assert (caught.value.status, caught.value.kind) == (503, "busy")
            assert int((caught.value.headers or {})["Retry-After"]) >= 1
            assert depth_of(service) == 2
            service.require_room()
            tasks.append(asyncio.create_task(service.predict([PHOTO])))
            await until(lambda: depth_of(service) == 3)
            with pytest.raises(ProblemError):
                service.require_room()
            gate.open.set()
            assert len(await asyncio.gather(*tasks)) == 5
            service.require_room()

    run(scenario())


def test_a_long_wait_that_can_be_foreseen_is_refused_at_once(classifier: Classifier) -> None:
    gate = Gate(classifier)

    async def scenario() -> None:
        async with running(gate, max_wait=0.5) as service:
            lane = service.models.find().current.queue
            lane._pace = 2.0  # seconds a photo, as if measured
            tasks = [asyncio.create_task(service.predict([PHOTO])) for _ in range(2)]
            await both_busy(service)
            tasks.append(asyncio.create_task(service.predict([PHOTO])))
            await until(lambda: depth_of(service) == 1)
            assert lane.expected_wait == 1.0
            with pytest.raises(ProblemError) as caught:
                service.require_room()
            assert caught.value.headers == {"Retry-After": "1"}
            gate.open.set()
            await asyncio.gather(*tasks)

    run(scenario())


def test_a_cancelled_request_frees_its_places_and_costs_no_core(classifier: Classifier) -> None:
    gate = Gate(classifier)

    async def scenario() -> None:
        async with running(gate, queue_size=4) as service:
            held = [asyncio.create_task(service.predict([PHOTO])) for _ in range(2)]
            await both_busy(service)
            given_up = asyncio.create_task(service.predict([PHOTO] * 4))
            await until(lambda: depth_of(service) == 4)
            given_up.cancel()
            with suppress(asyncio.CancelledError):
                await given_up
            assert depth_of(service) == 0
            gate.open.set()
            await asyncio.gather(*held)

    run(scenario())
    assert gate.decoded == 2


@asynccontextmanager
async def client_of(predictor: Any, **settings: Any) -> AsyncIterator[tuple[httpx.AsyncClient, ModelService]]:
    app = create_app(predictor, Settings(**settings))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client, app.state.service
        if isinstance(predictor, Gate):
            predictor.open.set()
        app.state.service.close(timeout=20)


def test_over_http_a_full_queue_is_503_with_retry_after_before_the_body_is_read(classifier: Classifier) -> None:
    gate = Gate(classifier)
    files = [("files", ("a.jpg", PHOTO.data))]

    async def scenario() -> None:
        async with client_of(gate, queue_size=1, max_files=1) as (client, service):
            tasks = []
            for _ in range(2):
                tasks.append(asyncio.create_task(client.post("/v1/predict", files=files)))
                await until(lambda: workers_of(service)._started != [] and depth_of(service) == 0)
            await both_busy(service)
            tasks.append(asyncio.create_task(client.post("/v1/predict", files=files)))
            await until(lambda: depth_of(service) == 1)
            taken = 0

            async def body() -> AsyncIterator[bytes]:
                nonlocal taken
                for _ in range(10):
                    taken += 1
                    yield b"\0" * 1000

            kind = {"content-type": "multipart/form-data; boundary=x"}
            refused = await client.post("/v1/predict", content=body(), headers=kind)
            assert_problem(refused, 503, "busy")
            assert int(refused.headers["retry-after"]) >= 1
            assert taken == 0
            gate.open.set()
            assert [answer.status_code for answer in await asyncio.gather(*tasks)] == [200] * 3
            assert 'animals_rejected_total{reason="busy"} 1.0' in service.metrics.render().decode()

    run(scenario())


def test_over_http_an_answer_that_takes_too_long_is_given_up(classifier: Classifier) -> None:
    gate = Gate(classifier)

    async def scenario() -> None:
        async with client_of(gate, request_timeout=0.05) as (client, service):
            late = await client.post("/v1/predict", files=[("files", ("a.jpg", PHOTO.data))] * 6)
            assert_problem(late, 503, "timed-out")
            assert late.headers["retry-after"]
            assert depth_of(service) == 0

    run(scenario())


def test_over_http_a_body_that_trickles_is_given_up(classifier: Classifier) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
        while True:
            yield b"\0"
            await asyncio.sleep(0.005)

    async def scenario() -> None:
        async with client_of(classifier, body_timeout=0.05) as (client, _):
            kind = {"content-type": "multipart/form-data; boundary=x"}
            assert_problem(await client.post("/v1/predict", content=endless(), headers=kind), 408, "too-slow")

    run(scenario())


def test_over_http_a_client_that_goes_away_frees_its_place(classifier: Classifier) -> None:
    gate = Gate(classifier)
    app = create_app(gate)
    service: ModelService = app.state.service
    gone = asyncio.Event()
    sent: list[Any] = []

    async def scenario() -> None:
        held = [asyncio.create_task(service.predict([PHOTO])) for _ in range(2)]
        await both_busy(service)
        messages = iter([{"type": "http.request", "body": PHOTO.data, "more_body": False}])

        async def receive() -> Any:
            for message in messages:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/predict",
            "raw_path": b"/v1/predict",
            "query_string": b"",
            "headers": [(b"content-type", b"image/jpeg")],
            "scheme": "http",
            "http_version": "1.1",
            "client": ("10.0.0.1", 1),
            "server": ("test", 80),
        }
        request = asyncio.create_task(app(scope, receive, send))
        await until(lambda: depth_of(service) == 1)
        gone.set()
        await request
        assert depth_of(service) == 0
        gate.open.set()
        await asyncio.gather(*held)
        service.close(timeout=20)

    run(scenario())
    assert gate.decoded == 2
    assert 'route="/v1/predict",status="499"' in service.metrics.render().decode()


def test_over_http_all_bodies_together_are_bounded(classifier: Classifier) -> None:
    gate = Gate(classifier)
    size = len(PHOTO.data)

    async def scenario() -> None:
        async with client_of(gate, max_request_bytes=size + 300, max_memory_bytes=size + 300) as (client, service):
            files = [("files", ("a.jpg", PHOTO.data))]
            first = asyncio.create_task(client.post("/v1/predict", files=files))
            await until(lambda: workers_of(service)._started != [])
            assert_problem(await client.post("/v1/predict", files=files), 503, "busy")
            gate.open.set()
            assert (await first).status_code == 200
            assert (await client.post("/v1/predict", files=files)).status_code == 200

    run(scenario())


class SlowDecoders(DecoderProcesses):
    """Photos that the usual threads put off are held up until the gate is opened; counts how many are at once."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.now: list[bytes] = []
        self.most = 0
        super().__init__(2)

    def crops(self, photo: bytes, spec: PreprocessSpec, limits: Limits) -> NDArray[np.uint8]:
        self.now.append(photo)
        self.most = max(self.most, len(self.now))
        assert self.open.wait(20)
        self.now.remove(photo)
        return super().crops(photo, spec, limits)


def test_photos_that_take_much_to_decode_leave_the_threads_to_the_others(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference_jobs, "LIGHT", DecodeBound(max_bytes=8 << 20, max_pixels=1 << 30))
    decoders = SlowDecoders()
    bombs = [UploadedPhoto(f"{side}.png", encoded(GREEN, size=side, form="PNG")) for side in range(2000, 2004)]

    async def scenario() -> None:
        async with running(classifier, threads=2) as service:
            service.heavy.decoders = decoders
            heavy = asyncio.gather(*(service.predict([bomb]) for bomb in bombs))
            await until(lambda: bool(decoders.now))
            async with asyncio.timeout(20):
                (light,) = await service.predict([PHOTO])
            assert light.result.prediction.label == "cat"
            assert not heavy.done()
            decoders.open.set()
            assert [outcome.result.prediction.label for (outcome,) in await heavy] == ["dog"] * len(bombs)

    run(scenario())
    assert decoders.most == 1


def test_heavy_photos_that_nobody_waits_for_are_dropped_and_too_many_are_refused(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference_jobs, "LIGHT", DecodeBound(max_bytes=8 << 20, max_pixels=1 << 30))
    decoders = SlowDecoders()
    bombs = [UploadedPhoto(f"{side}.png", encoded(GREEN, size=side, form="PNG")) for side in range(2000, 2004)]

    async def scenario() -> None:
        async with running(classifier, queue_size=2, threads=2) as service:
            service.heavy.decoders = decoders
            first = asyncio.create_task(service.predict([bombs[0]]))
            await until(lambda: bool(decoders.now))
            waiting = [asyncio.create_task(service.predict([bomb])) for bomb in bombs[1:3]]
            await until(lambda: service.heavy.depth == 2)
            with pytest.raises(ProblemError) as refused:
                await service.predict([bombs[3]])
            assert refused.value.status == 503
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            assert service.heavy.depth == 0
            decoders.open.set()
            await first

    run(scenario())

"""A server over a tiny real model that tells colours apart, and over fakes that misbehave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")

from fastapi import FastAPI
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from animal_classification.imaging import DecodeBound
from animal_classification.inference import Classifier, Prediction
from animal_classification.serving import create_app
from animal_classification.serving.middleware import allowed_hosts
from animal_classification.settings import Settings
from tests.support.tiny_bundle import COLOURS, solid, write_tiny_bundle

RED, GREEN, BLUE, YELLOW = COLOURS[:4]
GROUPS = {"cat": "feline > small cat", "lion": "feline > big cat", "dog": "canine"}


def encoded(colour: tuple[int, int, int], size: int = 64, form: str = "JPEG") -> bytes:
    buffer = BytesIO()
    Image.fromarray(solid(colour, size=size)).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def known_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that test clients ask for count as this machine's."""
    monkeypatch.setattr(allowed_hosts, "LOCAL_NAMES", {"localhost", "test", "testserver"})


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    path = write_tiny_bundle(
        tmp_path_factory.mktemp("bundles") / "tiny",
        background=("chair",),
        groups=GROUPS,
        rollup={"threshold": 0.7},
    )
    return Classifier.load(path, engine="onnxruntime", threads=2)


class FakePredictor:
    """The tiny classifier, with something that happens before a photo is decoded, or a batch inferred."""

    def __init__(
        self,
        real: Classifier,
        before_decoding: Callable[[bytes], None] = lambda _: None,
        before_inference: Callable[[Sequence[NDArray[np.uint8]]], None] = lambda _: None,
    ) -> None:
        self.bundle, self.info, self.engine, self.threads = real.bundle, real.info, real.engine, real.threads
        self._real = real
        self._before_decoding = before_decoding
        self._before_inference = before_inference

    def prepare(self, photo: bytes, *, light: DecodeBound | None = None) -> NDArray[np.uint8]:
        self._before_decoding(photo)
        return self._real.prepare(photo, light=light)

    def classify(
        self, photos: Sequence[NDArray[np.uint8]], *, top_k: int = 5, embedding: bool = False
    ) -> list[Prediction]:
        self._before_inference(photos)
        return self._real.classify(photos, top_k=top_k, embedding=embedding)

    def heatmap_of(self, crops: NDArray[np.uint8], label_id: str | None = None) -> NDArray[np.uint8]:
        return self._real.heatmap_of(crops, label_id)


@pytest.fixture
def app(classifier: Classifier) -> FastAPI:
    return create_app(classifier)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client_with(classifier: Classifier) -> Iterator[Callable[..., TestClient]]:
    """Makes a client of a server with other settings."""
    opened: list[TestClient] = []

    def make(predictor: Any = classifier, **settings: Any) -> TestClient:
        client = TestClient(create_app(predictor, Settings(**settings)), raise_server_exceptions=False)
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def gradio_folder() -> Path:
    gradio = pytest.importorskip("gradio")
    return Path(gradio.__file__).parent


def send(client: TestClient, *files: tuple[str, bytes], **fields: Any) -> Any:
    return client.post("/v1/predict", files=[("files", file) for file in files], data=fields)


def assert_problem(response: Any, status: int, kind: str | None = None) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body.keys() >= {"type", "title", "status", "detail"}
    assert body["status"] == status
    assert body["type"] == (f"urn:animals:problem:{kind}" if kind else "about:blank")
    assert "Traceback" not in response.text
    return body

"""Triton's own client speaks with the server: health, facts, answers, and errors that it can read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
triton: Any = pytest.importorskip("tritonclient.http")
InferenceServerException: Any = pytest.importorskip("tritonclient.utils").InferenceServerException

from PIL import Image

from animal_classification.serving.middleware.api_keys import new_key, write_keys
from tests.e2e.serving import Server
from tests.support.tiny_bundle import COLOURS, solid, write_tiny_bundle

RED, GREEN = COLOURS[:2]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    text, key = new_key("triton", ("predict",))
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    write_keys(path, [key])
    return text, path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, key: tuple[str, Path]) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("triton")
    bundle = write_tiny_bundle(folder / "tiny")
    words = ("--model", str(bundle), "--engine", "onnxruntime", "--keys-file", str(key[1]))
    server = Server(*words, folder=folder, name="serve")
    yield server
    server.kill()


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    client = triton.InferenceServerClient(server.address.removeprefix("http://"))
    yield client
    client.close()


@pytest.fixture
def headers(key: tuple[str, Path]) -> dict[str, str]:
    return {"X-API-Key": key[0]}


def encoded(colour: tuple[int, int, int]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(solid(colour, size=64)).save(buffer, "JPEG")
    return buffer.getvalue()


def photos(*colours: tuple[int, int, int]) -> Any:
    tensor = triton.InferInput("photos", [len(colours)], "BYTES")
    tensor.set_data_from_numpy(np.array([encoded(colour) for colour in colours], dtype=np.object_), binary_data=True)
    return tensor


def test_health_needs_no_key(client: Any, headers: dict[str, str]) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny", headers=headers)
    assert not client.is_model_ready("lion", headers=headers)


def test_facts(client: Any, headers: dict[str, str]) -> None:
    assert client.get_server_metadata(headers=headers)["name"] == "animals"
    facts = client.get_model_metadata("tiny", headers=headers)
    assert facts["inputs"] == [{"name": "photos", "datatype": "BYTES", "shape": [-1]}]
    assert client.get_model_metadata("tiny", "1", headers=headers)["versions"] == ["1"]


@pytest.mark.parametrize("binary", [True, False])
def test_answers(client: Any, headers: dict[str, str], binary: bool) -> None:
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("label", "probability", "prediction")]
    answer = client.infer("tiny", [photos(RED, GREEN)], outputs=wanted, request_id="42", headers=headers)
    assert answer.get_response()["id"] == "42"
    assert [_text(label) for label in answer.as_numpy("label")] == ["cat", "dog"]
    assert (answer.as_numpy("probability") > 0.9).all()
    assert json.loads(_text(answer.as_numpy("prediction")[0]))["label"] == "cat"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def test_errors_are_read_and_not_decoded_in_vain(client: Any, headers: dict[str, str]) -> None:
    """Yesterday, a path that nothing serves was an exception while decoding the answer."""
    attempts = {
        "there is nothing at /v2/models/tiny/config": lambda: client.get_model_config("tiny", headers=headers),
        "there is nothing at /v2/repository/index": lambda: client.get_model_repository_index(headers=headers),
        "there is nothing at /v2/systemsharedmemory": lambda: client.get_system_shared_memory_status(headers=headers),
        "tiny 1": lambda: client.get_model_metadata("lion", headers=headers),
        "no output 'logits'": lambda: client.infer(
            "tiny", [photos(RED)], outputs=[triton.InferRequestedOutput("logits")], headers=headers
        ),
        "an API key is needed": client.get_server_metadata,
    }
    for words, attempt in attempts.items():
        with pytest.raises(InferenceServerException) as caught:
            attempt()
        assert words in caught.value.message()
        assert "decoding" not in caught.value.message()
        assert "urn:animals" not in caught.value.message()

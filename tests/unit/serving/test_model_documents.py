"""A model's card and its confusion matrix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from animal_classification.inference import Classifier
from tests.support.tiny_bundle import write_tiny_bundle
from tests.unit.serving.conftest import assert_problem

MakeClient = Callable[..., TestClient]


def test_the_card(client: TestClient) -> None:
    response = client.get("/v1/models/tiny/card")
    assert response.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "Tells colours apart." in response.text
    assert_problem(client.get("/v1/models/lions/card"), 404, "no-such-model")


def test_a_bundle_without_a_matrix(client: TestClient) -> None:
    known = client.get("/v1/models/tiny").json()
    assert (known["card"], known["confusion"]) == (True, False)
    assert_problem(client.get("/v1/models/tiny/confusion"), 404, "no-confusion")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"labels":["cat","dog","lion"],"matrix":[[9,1,0],[0,10,0],[2,0,8]]}', 200),
        (b'{"labels":["cat"],"matrix":[[9,1,0]]}', 404),
        (b'{"labels":["cat"]', 500),
        (b"[]", 500),
    ],
)
def test_the_matrix(client_with: MakeClient, tmp_path: Path, content: bytes, status: int) -> None:
    path = write_tiny_bundle(tmp_path / "tiny", files={"confusion.json": content})
    client = client_with(Classifier.load(path, engine="onnxruntime"))
    assert client.get("/v1/models/tiny").json()["confusion"] is True
    response = client.get("/v1/models/tiny/confusion")
    assert response.status_code == status
    assert str(tmp_path) not in response.text
    if status == 200:
        assert response.json()["matrix"][2] == [2, 0, 8]


@pytest.mark.parametrize("name", ["README.md", "confusion.json"])
@pytest.mark.parametrize("gone", [False, True])
def test_files_that_were_replaced_are_not_those_of_the_model(
    client_with: MakeClient, tmp_path: Path, name: str, gone: bool
) -> None:
    files = {"confusion.json": b'{"labels":["cat","dog","lion"],"matrix":[[9,1,0],[0,10,0],[2,0,8]]}'}
    path = write_tiny_bundle(tmp_path / "tiny", files=files)
    client = client_with(Classifier.load(path, engine="onnxruntime"))
    asked = {"README.md": "card", "confusion.json": "confusion"}[name]
    assert client.get(f"/v1/models/tiny/{asked}").status_code == 200
    if gone:
        (path / name).unlink()
    else:
        (path / name).write_bytes(files["confusion.json"].replace(b"9", b"8"))
    response = client.get(f"/v1/models/tiny/{asked}")
    assert_problem(response, 503, "bundle-changed")
    assert response.headers["retry-after"]
    assert str(tmp_path) not in response.text

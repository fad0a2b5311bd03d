"""The Open Inference Protocol, as KServe's and Triton's clients speak it."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from fastapi.testclient import TestClient

from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from tests.unit.serving.conftest import GREEN, RED, YELLOW, assert_problem, encoded

INFER = "/v2/models/tiny/infer"


def tensor(*photos: bytes, **more: Any) -> dict[str, Any]:
    data = [base64.b64encode(photo).decode() for photo in photos]
    return {"name": "photos", "shape": [len(photos)], "datatype": "BYTES", "data": data, **more}


def outputs_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def test_health_and_facts(client: TestClient) -> None:
    assert client.get("/v2").json().keys() == {"name", "version", "extensions"}
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/tiny", "/v2/models/tiny/versions/1"):
        facts = client.get(path).json()
        assert (facts["name"], facts["versions"], facts["platform"]) == ("tiny", ["1"], "onnx_onnxv1")
        assert facts["inputs"] == [{"name": "photos", "datatype": "BYTES", "shape": [-1]}]
        assert {"name": "label", "datatype": "BYTES", "shape": [-1]} in facts["outputs"]
        assert client.get(f"{path}/ready").json() == {"name": "tiny", "ready": True}


def test_not_ready_until_the_model_is_there(classifier: Classifier) -> None:
    app = create_app(None)
    with TestClient(app) as client:
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 503
        answer = client.post(INFER, json={"inputs": [tensor(encoded(RED))]})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        app.state.service.install(classifier)
        assert client.get("/v2/health/ready").status_code == 200
        app.state.service.drain()
        assert client.get("/v2/models/tiny/ready").status_code == 503


@pytest.mark.parametrize("path", [INFER, "/v2/models/tiny/versions/1/infer"])
def test_infer(client: TestClient, path: str) -> None:
    body = {"id": "42", "inputs": [tensor(encoded(RED), b"text", encoded(YELLOW))], "parameters": {"top_k": 2, "x": 1}}
    answer = client.post(path, json=body)
    facts = answer.json()
    assert (facts["id"], facts["model_name"], facts["model_version"]) == ("42", "tiny", "1")
    outputs = outputs_of(answer)
    assert outputs["label"][:2] == ["cat", ""]
    assert outputs["unknown"] == [False, False, True]
    assert outputs["probability"][0] > 0.9
    assert outputs["error"][0] == ""
    assert "text" in outputs["error"][1]
    whole = json.loads(outputs["prediction"][0])
    assert len(whole["top"]) == 2
    assert all(output["shape"] == [3] for output in facts["outputs"])


def test_only_the_outputs_that_are_wanted(client: TestClient) -> None:
    body = {"inputs": [tensor(encoded(RED))], "outputs": [{"name": "label"}]}
    assert outputs_of(client.post(INFER, json=body)) == {"label": ["cat"]}
    assert "id" not in client.post(INFER, json=body).json()


def test_nested_data(client: TestClient) -> None:
    photos = [[base64.b64encode(encoded(colour)).decode()] for colour in (RED, GREEN)]
    body = {"inputs": [tensor() | {"shape": [2, 1], "data": photos}]}
    assert outputs_of(client.post(INFER, json=body))["label"] == ["cat", "dog"]


def binary(*photos: bytes, **changed: Any) -> tuple[bytes, dict[str, str]]:
    elements = b"".join(struct.pack("<I", len(photo)) + photo for photo in photos)
    parameters = {"binary_data_size": len(elements), **changed}
    request = {"name": "photos", "shape": [len(photos)], "datatype": "BYTES", "parameters": parameters}
    head = json.dumps({"inputs": [request]}).encode()
    return head + elements, {"Inference-Header-Content-Length": str(len(head))}


def test_the_binary_extension(client: TestClient) -> None:
    body, headers = binary(encoded(RED), encoded(GREEN))
    assert outputs_of(client.post(INFER, content=body, headers=headers))["label"] == ["cat", "dog"]


@pytest.mark.parametrize("size", [0, 3, 5, 10_000_000])
def test_binary_lengths_that_lie(client: TestClient, size: int) -> None:
    body, headers = binary(encoded(RED), binary_data_size=size)
    assert client.post(INFER, content=body, headers=headers).status_code == 400


@pytest.mark.parametrize("length", ["-1", "x", "999999999", "1e3", "²"])
def test_json_lengths_that_lie(client: TestClient, length: str) -> None:
    body, _ = binary(encoded(RED))
    headers = {b"Inference-Header-Content-Length": length.encode()}
    assert client.post(INFER, content=body, headers=headers).status_code == 400


def test_an_element_that_claims_more_than_there_is(client: TestClient) -> None:
    body, headers = binary(encoded(RED))
    head = int(headers["Inference-Header-Content-Length"])
    answer = client.post(INFER, content=body[:head] + b"\xff\xff\xff\xff" + body[head + 4 :], headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "the binary data end within a photo")


GOOD = tensor(encoded(RED))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"inputs": [GOOD, GOOD]}, "inputs"),
        ({"inputs": [GOOD | {"name": "other"}]}, "name"),
        ({"inputs": [GOOD | {"datatype": "FP32"}]}, "datatype"),
        ({"inputs": [GOOD | {"shape": [2]}]}, "says 2 photos, and there are 1"),
        ({"inputs": [GOOD | {"shape": [-1]}]}, "shape"),
        ({"inputs": [GOOD | {"data": ["%%%"]}]}, "not base64"),
        ({"inputs": [GOOD | {"data": [7]}]}, "not int"),
        ({"inputs": [GOOD | {"data": ["é"]}]}, "not base64"),
        ({"inputs": [GOOD], "outputs": [{"name": "logits"}]}, "no output 'logits'"),
        ({"inputs": [GOOD], "parameters": {"top_k": 0}}, "top_k"),
        ({"inputs": [GOOD], "parameters": {"heatmap": "perhaps"}}, "heatmap"),
    ],
)
def test_what_is_wrong_is_said(client: TestClient, body: Any, words: str) -> None:
    answer = client.post(INFER, json=body)
    assert answer.status_code == 400
    assert answer.json().keys() == {"error"}
    assert words in answer.json()["error"]


TALL = int("9" * 4000)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [GOOD | {"shape": [TALL, TALL]}]},
        {"inputs": [GOOD | {"shape": [2**31, 2**31]}]},
        {"inputs": [GOOD | {"parameters": {"binary_data_size": TALL}}]},
        {"inputs": [GOOD], "parameters": {"top_k": TALL}},
        {"inputs": [GOOD], "id": "a" * 5000},
        {"inputs": [GOOD], "outputs": [{"name": "a" * 5000}]},
        {"inputs": [GOOD], "parameters": {"x": [{"a": 1}] * 10_000}},
        {"inputs": [GOOD | {"data": [[]] * 20_000}]},
        {"inputs": [GOOD | {"data": [[["deep"]]]}]},
    ],
)
def test_what_is_huge_is_refused_and_no_failure(client: TestClient, body: Any) -> None:
    answer = client.post(INFER, json=body)
    assert answer.status_code == 400, answer.text[:200]
    assert len(answer.json()["error"]) < 300


def test_a_photo_that_is_too_large_fails_alone(client_with: Any) -> None:
    photo = encoded(RED)
    client = client_with(max_file_bytes=len(photo))
    for body, headers in ((json.dumps({"inputs": [tensor(photo + b"x", photo)]}), {}), binary(photo + b"x", photo)):
        outputs = outputs_of(client.post(INFER, content=body, headers=headers))
        assert outputs["label"] == ["", "cat"]
        assert "larger than" in outputs["error"][0]


@pytest.mark.parametrize(("count", "status"), [(64, 200), (65, 413), (100, 413), (1000, 400)])
@pytest.mark.parametrize("size", [8, 512])
def test_as_many_photos_as_there_may_be(client: TestClient, size: int, count: int, status: int) -> None:
    large = encoded(RED, size=size)
    answer = client.post(INFER, json={"inputs": [tensor(*[large] * count)], "outputs": [{"name": "label"}]})
    assert answer.status_code == status, answer.text
    assert status != 200 or outputs_of(answer)["label"] == ["cat"] * count


def test_elements_without_content_are_counted(client: TestClient) -> None:
    body, headers = binary(*[b""] * 65)
    assert client.post(INFER, content=body, headers=headers).status_code == 413


def test_slashes_may_be_escaped(client: TestClient) -> None:
    body = json.dumps({"inputs": [tensor(encoded(RED, size=256))]}).replace("/", "\\/")
    assert outputs_of(client.post(INFER, content=body))["label"] == ["cat"]


def test_other_refusals(client: TestClient) -> None:
    assert client.post(INFER, content=b"{").status_code == 400
    assert client.post(INFER, content=b"[" * 100_000).status_code == 400
    assert client.post(INFER, json={"inputs": [tensor()]}).status_code == 422
    assert client.post(INFER, json={"inputs": [tensor(*[b"x"] * 65)]}).status_code == 413
    for path in ("/v2/models/lion", "/v2/models/tiny/versions/2", "/v2/models/lion/ready"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "tiny 1" in answer.json()["error"]
    assert client.post("/v2/models/lion/infer", json={"inputs": [GOOD]}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nowhere", 404),
        ("GET", "/v2/models", 404),
        ("POST", "/v2/models/tiny/generate", 404),
        ("POST", "/v2/repository/index", 404),
        ("GET", "/v2/models/tiny/versions/1/stats", 404),
        ("DELETE", "/v2/models/tiny", 405),
        ("GET", INFER, 405),
        ("POST", "/v2", 405),
        ("GET", "/v2/models/tiny%0A", 400),
        ("GET", f"/v2/models/{'x' * 300}", 404),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/zoo"])
def test_every_error_below_v2_has_the_form_of_the_protocol(
    client_with: Any, prefix: str, method: str, path: str, status: int
) -> None:
    answer = client_with(root_path=prefix).request(method, prefix + path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json().keys() == {"error"}
    assert (status == 405) == ("allow" in answer.headers)


def test_a_bug_below_v2_has_the_form_of_the_protocol(client_with: Any, classifier: Classifier) -> None:
    client = client_with()
    client.app.state.service.models.find = None  # as good a bug as any
    answer = client.get("/v2/models/tiny")
    assert (answer.status_code, answer.json().keys()) == (500, {"error"})


def test_beside_v2_errors_are_problems(client: TestClient) -> None:
    for path in ("/v2x", "/v1/nowhere", "/v20/models", "/V2/models"):
        assert_problem(client.get(path), 404)


def test_refusals_of_the_protocol_are_counted(client: TestClient) -> None:
    client.get("/v2/models/lion")
    assert 'animals_rejected_total{reason="no-such-model"} 1.0' in client.get("/metrics").text

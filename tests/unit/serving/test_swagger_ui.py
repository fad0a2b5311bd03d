"""The OpenAPI document and the page that shows it, without the internet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from animal_classification.serving.http import swagger_ui

HTTP_METHODS = {"get", "post", "delete"}
ANSWERS = {
    "/metrics": "text/plain",
    "/v1/models/{name}/card": "text/markdown",
    "/v1/review/{prediction}/photo": "image/*",
    "/v1/review/reviewed.csv": "text/csv",
}


@pytest.fixture
def document(client_with: Any, tmp_path: Path) -> dict[str, Any]:
    client = client_with(prediction_log=True, log_folder=str(tmp_path))
    body: dict[str, Any] = client.get("/openapi.json").json()
    return body


def test_the_contract_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.")
    ours = {"/v1/predict", "/healthz", "/readyz", "/metrics"}
    ours |= {"/v1/models", "/v1/models/{name}", "/v1/models/{name}/reload"}
    ours |= {"/v1/models/{name}/card", "/v1/models/{name}/confusion"}
    ours |= {"/v1/feedback", "/v1/feedback/{number}", "/v1/review", "/v1/review/labels", "/v1/monitor"}
    ours |= {"/v1/review/{prediction}/photo", "/v1/review/reviewed.csv", "/v1/review/events"}
    ours |= {"/v1/drift", "/v1/drift/judge"}
    assert {path for path in document["paths"] if not path.startswith("/v2")} == ours
    assert "/v2/models/{name}/infer" in document["paths"]


def test_predict_says_what_it_takes_and_gives(document: dict[str, Any]) -> None:
    predict = document["paths"]["/v1/predict"]["post"]
    options = {"top_k", "heatmap", "words", "detections"}
    form = predict["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["files"]
    assert form["properties"]["files"]["items"] == {"type": "string", "format": "binary"}
    assert form["properties"].keys() == {"files", "model", "source", *options}
    assert {item["name"] for item in predict["parameters"]} == {"model", "source", *options}
    entry = document["components"]["schemas"]["PhotoPrediction"]
    assert {"id", "file", "label", "probability", "unknown", "top", "model", "version", "error"} <= set(
        entry["required"]
    )


def test_every_problem_has_the_problem_type(document: dict[str, Any]) -> None:
    for path_name, path in document["paths"].items():
        for method in path.keys() & HTTP_METHODS:
            for status, response in path[method]["responses"].items():
                answer = ANSWERS.get(path_name, "application/json")
                problem = "application/json" if path_name.startswith("/v2") else "application/problem+json"
                if status == "503" and path_name == "/v2/health/ready":
                    continue
                expected = answer if status in {"200", "201"} else problem
                assert list(response["content"]) == [expected], (path_name, status)


def test_references_lead_somewhere(document: dict[str, Any], client: TestClient) -> None:
    for name in re.findall(r'"\$ref":"#/components/schemas/(\w+)"', client.get("/openapi.json").text):
        assert name in document["components"]["schemas"]


def test_the_page_asks_no_other_machine(client: TestClient) -> None:
    pytest.importorskip("fastapi_swagger")
    html = client.get("/docs").text
    links = re.findall(r"""(?:src|href)=["']([^"']+)["']""", html)
    assert len(links) >= 3
    for link in links:
        assert not re.match(r"https?:|//", link), link
        assert client.get(f"/{link}").status_code == 200, link
    assert '"validatorUrl": null' in html
    assert '<html lang="en">' in html


def test_without_swagger_ui_the_page_says_so(monkeypatch: pytest.MonkeyPatch, client_with: Any) -> None:
    monkeypatch.setattr(swagger_ui, "find_spec", lambda _: None)
    response = client_with().get("/docs")
    assert response.status_code == 200
    assert "openapi.json" in response.text


def test_a_path_with_control_characters_is_described_as_refused(document: dict[str, Any]) -> None:
    found = 0
    for path, operations in document["paths"].items():
        for operation in operations.values():
            names = [item for item in operation.get("parameters", ()) if item["in"] == "path"]
            kinds = [kind for item in names for kind in item["schema"].get("anyOf", [item["schema"]])]
            for schema in (kind for kind in kinds if kind["type"] == "string"):
                found += 1
                assert re.fullmatch(schema["pattern"], "Löwe 1")
                assert not re.fullmatch(schema["pattern"], "Löwe\x8c")
            assert not names or "400" in operation["responses"], path
    assert found > 5

"""Gradio's front end, beside the server and by itself, asked by Gradio's own client."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

gradio_client = pytest.importorskip("gradio_client", reason="needs: pip install 'animals-in-photos[gradio]'")
pytest.importorskip("gradio")

from animal_classification.serving.ui.pages import example_path
from tests.e2e.conftest import Watch
from tests.e2e.serving import Server, wait_for
from tests.support.ports import free_port

SPACE = Path(__file__).parents[2] / "examples" / "huggingface_space"


def photo(name: str) -> Any:
    return gradio_client.handle_file(str(example_path(name)))


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = ("--gradio", "--engine", "onnxruntime", "--prediction-log", "--root-path", "/animals")
    server = Server(*options, folder=tmp_path_factory.mktemp("gradio"), name="serve")
    server.wait_for_gradio()
    yield server
    server.kill()


@pytest.fixture
def client(beside: Server, tmp_path: Path) -> Any:
    return gradio_client.Client(f"{beside.address}/gradio/", verbose=False, download_files=str(tmp_path))


def test_one_photo_and_its_correction(client: Any, beside: Server) -> None:
    said, shares, heatmap, identity = client.predict(photo("cat"), api_name="/predict")
    assert said.startswith("## Domestic cat\nI am sure it is a domestic cat, but not which breed")
    assert len(shares["confidences"]) == 5
    assert Path(heatmap).stat().st_size > 1000
    thanks = client.predict(identity, "tabby cat", api_name="/correct")
    assert thanks == "Thank you: tabby cat."
    reviewed = httpx.get(f"{beside.address}/v1/review?state=done", timeout=30).json()["predictions"]
    (word,) = [item["feedback"] for item in reviewed if item["id"] == identity]
    assert (word["verdict"], word["label"]) == ("corrected", "tabby cat")


def test_what_is_no_animal_and_what_is_no_photo(client: Any, tmp_path: Path) -> None:
    said, shares, heatmap, _ = client.predict(photo("coffee"), api_name="/predict")
    assert said.startswith("## No animal found\n")
    assert shares["label"] == "no animal that I know"
    assert heatmap is None
    (tmp_path / "cut.jpg").write_bytes(example_path("cat").read_bytes()[:3000])
    with pytest.raises(gradio_client.exceptions.AppError, match="This photo"):
        client.predict(gradio_client.handle_file(str(tmp_path / "cut.jpg")), api_name="/predict")


def test_many_photos(client: Any) -> None:
    found = client.predict([photo("raccoon"), photo("astronaut")], api_name="/predict_many")
    assert [item["caption"].partition(":")[0] for item in found] == ["An animal", "No animal found"]


def test_an_upload_that_is_broken_off_is_no_trouble(beside: Server) -> None:
    parts = urlsplit(beside.address)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.putrequest("POST", f"{parts.path}/gradio/gradio_api/upload")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(1 << 30))
    connection.endheaders(b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\nabc')
    answer = connection.getresponse()
    assert answer.status == 503, "more than all uploads together may have"
    connection.close()
    assert httpx.get(f"{beside.address}/healthz", timeout=20).status_code == 200


def test_nobody_passes_the_queue(client: Any, beside: Server) -> None:
    found = {one["api_name"]: one["id"] for one in client.config["dependencies"]}
    body = {"data": [None], "fn_index": found["predict"], "session_hash": "x"}
    answer = httpx.post(f"{beside.address}/gradio/gradio_api/run/predict", json=body, timeout=20)
    assert answer.status_code == 404, answer.text


def test_in_a_browser(beside: Server, chromium: Any) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    watch = Watch(context, beside.address)
    page = context.new_page()
    page.goto(f"{beside.address}/gradio/")
    page.get_by_text("A cat", exact=True).click()
    page.get_by_role("heading", name="Domestic cat").wait_for()
    for image in page.locator("img:visible").all():
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    context.close()
    watch.assert_clean()


def test_a_hugging_face_space(tmp_path: Path) -> None:
    """The three files as they are: front matter, requirements, and the app that they name."""
    front = (SPACE / "README.md").read_text("utf-8").split("---")[1]
    settings = dict(re.findall(r"^(\w+): (.*)$", front, re.MULTILINE))
    assert settings["sdk"] == "gradio"
    assert (SPACE / settings["app_file"]).is_file()
    assert (SPACE / "requirements.txt").read_text("utf-8").strip() == "animals-in-photos[gradio]"
    log = tmp_path / "log"
    environment = {
        **os.environ,
        "GRADIO_SERVER_PORT": str(free_port()),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(tmp_path),
    }
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, settings["app_file"]], cwd=SPACE, stdout=output, stderr=subprocess.STDOUT, env=environment
        ) as process,
    ):
        try:
            address = wait_for(lambda: re.search(r"http://\S+", log.read_text()), "the Space", log.read_text, 90)
            client = gradio_client.Client(address[0], verbose=False, download_files=str(tmp_path / "down"))
            said, _, heatmap, _ = client.predict(photo("cat"), api_name="/predict")
            assert said.startswith("## Domestic cat")
            assert Path(heatmap).is_file()
        finally:
            process.kill()

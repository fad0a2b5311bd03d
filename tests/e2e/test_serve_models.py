"""Several models, canaries and shadows in the real server, and a reload that reaches every worker."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import httpx
from PIL import Image

from animal_classification.serving.middleware.api_keys import new_key, write_keys
from tests.e2e.serving import Server, wait_for
from tests.support.tiny_bundle import COLOURS, solid, write_tiny_bundle

Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def start(*options: str) -> Server:
        words = ("--no-page", "--engine", "onnxruntime", "--threads", "2", *options)
        servers.append(Server(*words, folder=tmp_path, name="serve"))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def red() -> bytes:
    buffer = BytesIO()
    Image.fromarray(solid(COLOURS[0], size=64)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_reload_reaches_every_worker(start: Start, tmp_path: Path) -> None:
    place = write_tiny_bundle(tmp_path / "model")
    text, key = new_key("operator", ("admin",))
    write_keys(tmp_path / "keys.json", [key])
    server = start("--model", str(place), "--workers", "2", "--follow", "0", "--keys-file", str(tmp_path / "keys.json"))
    headers = {"X-API-Key": text}

    def versions() -> Counter[str]:
        asked = (httpx.get(f"{server.address}/v1/models/tiny", headers=headers).json()["version"] for _ in range(20))
        return Counter(asked)

    assert versions().keys() == {"1"}
    shutil.rmtree(place)
    write_tiny_bundle(place, names=("wolf", "bear", "fox"), version="2")
    answer = httpx.post(f"{server.address}/v1/models/tiny/reload", headers=headers, timeout=30)
    assert answer.json() == {"name": "tiny", "version": "2", "before": "1"}
    wait_for(lambda: versions().keys() == {"2"} or None, "both workers", lambda: server.output)
    (place / "bundle.json").write_text("{}")
    answer = httpx.post(f"{server.address}/v1/models/tiny/reload", headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:animals:problem:not-reloaded")
    assert str(tmp_path) not in answer.text
    assert versions().keys() == {"2"}
    wait_for(lambda: "what is new is refused and tiny 2 stays" in server.output or None, "word", lambda: server.output)


def test_two_models_a_canary_and_a_shadow(start: Start, tmp_path: Path) -> None:
    first, other = (
        write_tiny_bundle(tmp_path / name, names=names, name=name)
        for name, names in (("first", ("cat", "dog", "lion")), ("other", ("wolf", "bear", "fox")))
    )
    server = start(
        *("--model", str(first), "--model", f"zoo={first}"),
        *("--canary", f"zoo={other}@1", "--shadow", f"first={other}@1"),
    )
    assert "(models first 1, zoo 1, onnxruntime, 2 threads)" in wait_for(
        lambda: next((line for line in server.lines if "ready at" in line), None), "ready", lambda: server.output
    )
    address = server.lines[0].split()[3]
    with httpx.Client(base_url=address, timeout=30) as client:

        def asked(**fields: str) -> tuple[str, str]:
            answer = client.post("/v1/predict", files={"files": ("a.png", red())}, data=fields)
            (entry,) = answer.json()["predictions"]
            return entry["model"], entry["label"]

        assert asked() == ("first", "cat")
        assert asked(model="zoo") == ("other", "wolf"), "all of it goes to the canary"

        def compared() -> bool | None:
            shadow = client.get("/v1/models/first").json()["shadow"]
            return (shadow["compared"], shadow["agreement"]) == (1, 0.0) or None

        wait_for(compared, "the shadow", lambda: server.output)
    server.stop()
    assert server.process.returncode == 0

"""Retention on a real server: what people said stays, with its photo, until somebody asks to forget it."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import httpx
from click.testing import CliRunner
from PIL import Image
from sqlalchemy import Engine, inspect

from animal_classification.cli.monitor import command
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.location import LogLocation
from tests.e2e.serving import Server, wait_for
from tests.support.tiny_bundle import write_tiny_bundle

COLOURS = ("red", "green", "blue", "yellow")
AGE = 200  # days


def photo(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(buffer, "PNG")
    return buffer.getvalue()


SHA = {colour: hashlib.sha256(photo(colour)).hexdigest() for colour in COLOURS}


class Zoo:
    """A log with its server, which can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = write_tiny_bundle(folder / "tiny")
        (folder / "server").mkdir()
        self.place = LogLocation(folder=folder / "server-log")
        self.servers: list[Server] = []

    def start(self, *options: str) -> Server:
        words = ["--model", str(self.bundle), "--engine", "onnxruntime", "--no-page", "--prediction-log"]
        words += ["--keep-photos", "thumbnail", *options]
        self.servers.append(Server(*words, folder=self.folder / "server", name="serve"))
        return self.servers[-1]

    def photos(self) -> set[str]:
        return {path.name for path in (self.place.folder / "photos").glob("??/*")}

    def rows(self, engine: Engine) -> set[str]:
        with engine.connect() as connection:
            if not inspect(connection).has_table("animals_predictions"):
                return set()
            return {row[0] for row in connection.exec_driver_sql("SELECT photo FROM animals_predictions")}


@pytest.fixture
def zoo(tmp_path: Path) -> Iterator[Zoo]:
    found = Zoo(tmp_path)
    yield found
    for server in found.servers:
        server.kill()


@pytest.fixture
def engine(zoo: Zoo) -> Iterator[Engine]:
    engine = connect(zoo.place.database)
    yield engine
    engine.dispose()


def predict(client: httpx.Client, colour: str) -> str:
    """The prediction's id."""
    answer = client.post("/v1/predict", content=photo(colour), headers={"content-type": "image/png"})
    identity: str = answer.json()["predictions"][0]["id"]
    return identity


def review(zoo: Zoo, engine: Engine) -> None:
    """Four photos; red is corrected, green is corrected and taken back, blue is confirmed. Then they grow old."""
    server = zoo.start()
    with httpx.Client(base_url=server.address, timeout=60) as client:
        ids = {colour: predict(client, colour) for colour in COLOURS}
        wait_for(lambda: zoo.rows(engine) == set(SHA.values()) or None, "the rows", lambda: server.output)
        wait_for(lambda: zoo.photos() == set(SHA.values()) or None, "the photos", lambda: server.output)
        for colour, body in (
            ("red", {"verdict": "corrected", "label": "okapi"}),
            ("green", {"verdict": "corrected", "label": "okapi"}),
            ("blue", {"verdict": "confirmed"}),
        ):
            said = client.post("/v1/feedback", json={"id": ids[colour], **body})
            assert said.status_code < 300, said.text
            if colour == "green":
                assert client.delete(f"/v1/feedback/{said.json()['said']['number']}").status_code < 300
    server.stop()
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE animals_predictions SET time = datetime(time, '-{AGE} days')")
    for path in (zoo.place.folder / "photos").glob("??/*"):
        os.utime(path, (time.time() - AGE * 86400,) * 2)


def test_what_people_said_outlives_retention_and_a_request_to_forget_it_wins(zoo: Zoo, engine: Engine) -> None:
    review(zoo, engine)
    server = zoo.start()
    kept = {SHA["red"], SHA["blue"]}
    wait_for(lambda: zoo.rows(engine) == kept or None, "retention", lambda: f"{zoo.rows(engine)} {server.output}")
    wait_for(lambda: zoo.photos() == kept or None, "the sweep", lambda: f"{zoo.photos()} {server.output}")
    with httpx.Client(base_url=server.address, timeout=60) as client:
        done = client.get("/v1/review?state=done").json()
        assert "okapi" in str(done)
        words = ["forget", "--log-folder", str(zoo.place.folder), SHA["red"]]
        forgot = CliRunner().invoke(command, words)
        assert forgot.exit_code == 0, forgot.output
        assert forgot.output.startswith("animals: deleted 1 predictions, 1 words on them, 1 kept photos")
        assert zoo.rows(engine) == zoo.photos() == {SHA["blue"]}
        assert "okapi" not in str(client.get("/v1/review?state=done").json())
        assert CliRunner().invoke(command, words).exit_code == 1
        predict(client, "red")
    wait_for(lambda: len(zoo.rows(engine)) == 2 or None, "a photo that is sent again", lambda: server.output)


def test_where_the_law_says_so_they_go_like_all_others(zoo: Zoo, engine: Engine) -> None:
    review(zoo, engine)
    server = zoo.start("--no-keep-corrections")
    wait_for(lambda: not zoo.rows(engine) or None, "retention", lambda: server.output)
    wait_for(lambda: not zoo.photos() or None, "the sweep", lambda: server.output)

"""A shadow beside a model: what it says is kept with the answers, and people see where the two differ, blind."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from animal_classification.inference import Classifier
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.shadow_rows import compared, disagreements
from animal_classification.registry import Registry, promote, register
from animal_classification.serving import create_app
from animal_classification.serving.models.loader import LoadedModel, ModelLoader
from animal_classification.serving.models.model_spec import parse_traffic_share
from animal_classification.serving.models.tagged_canary import TaggedCanary
from animal_classification.serving.process.memory_plan import photo_limits
from animal_classification.settings import Settings
from tests.support.tiny_bundle import write_tiny_bundle
from tests.unit.serving.conftest import BLUE, GREEN, RED, encoded, send


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """It calls red and blue otherwise than the tiny model: their labels have changed places."""
    place = write_tiny_bundle(
        tmp_path_factory.mktemp("other") / "bundle", name="other", version="2", names=("wolf", "dog", "cat")
    )
    return Classifier.load(place, threads=1)


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_where_two_models_differ_people_decide_blind(classifier: Classifier, other: Classifier, tmp_path: Path) -> None:
    settings = Settings(
        prediction_log=True, log_folder=str(tmp_path), keep_photos="original", audit_per_day=0, canary=(), shadow=()
    )
    app = create_app(classifier, settings)
    with TestClient(app) as client:
        app.state.service.install_shadow("tiny", LoadedModel(other, 1), 1.0)
        names = ["red.jpg", "green.jpg", "blue.jpg"]
        answered = send(
            client, *((name, encoded(colour)) for name, colour in zip(names, (RED, GREEN, BLUE), strict=True))
        ).json()["predictions"]
        engine = connect(LogLocation(folder=tmp_path).database)
        assert client.get("/v1/review").status_code == 200  # the answers are in the database
        wait_until(lambda: compared(engine, "tiny", "2")[0] == 3)
        differ = {one.prediction for one in disagreements(engine, "tiny", "2")}
        said = {one["id"]: one["label_id"] for one in answered}
        assert 0 < len(differ) < 3

        page = client.get("/v1/review", params={"queue": "disagree"}).json()
        assert {row["id"] for row in page["predictions"]} == differ
        for row in page["predictions"]:
            assert len(row["choices"]) == 2
            assert said[row["id"]].removesuffix("-id") in row["choices"]
            # Nothing tells which of the two was answered.
            assert (row["label"], row["answer"], row["top"], row["set"], row["version"]) == ("", "", [], [], "")
            assert row["photo"]
        # In the one queue they come first, as blind; all others as always.
        whole = client.get("/v1/review", params={"queue": "all"}).json()
        assert whole["counts"] == {"disagree": len(differ), "asked": 0, "audit": 0, "doubt": 3 - len(differ)}
        assert whole["total"] == 3
        assert whole["predictions"][: len(differ)] == page["predictions"]
        assert [row["why"] for row in whole["predictions"]] == ["disagree"] * len(differ) + ["doubt"] * (
            3 - len(differ)
        )
        assert all(row["answer"] and row["choices"] is None for row in whole["predictions"][len(differ) :])
        first = page["predictions"][0]
        word = {"id": first["id"], "verdict": "corrected", "label": first["choices"][0]}
        assert client.post("/v1/feedback", json=word).status_code == 201
        assert client.get("/v1/review", params={"queue": "disagree"}).json()["total"] == len(differ) - 1
        # The shadow has gone, and what it said may still be judged; in the one queue nothing waits for it any more.
        app.state.service.install_shadow("tiny", None, 1.0)
        assert client.get("/v1/review", params={"queue": "disagree"}).json()["total"] == len(differ) - 1
        assert client.get("/v1/review", params={"queue": "all"}).json()["counts"]["disagree"] == 0
        engine.dispose()


def test_a_canary_follows_its_share_in_the_registry(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'registry.db'}"
    for number in (1, 2):
        bundle = write_tiny_bundle(tmp_path / f"b{number}", name="zoo", version=str(number))
        register(bundle, name="zoo", uri=uri)
    promote("zoo/1", uri=uri)
    registry = Registry.open(uri)
    newest = registry.versions("zoo")[0]
    registry.set_share(newest, 0.1)
    registry.set_alias(newest, "canary")

    traffic = parse_traffic_share("zoo=models:/zoo@canary@tag", "canary")
    assert traffic.share is None
    settings = Settings(tracking_uri=uri)
    canary = TaggedCanary(ModelLoader(settings, photo_limits(settings)), traffic.source)
    loaded = canary.load(None)
    assert (canary.share, loaded.predictor.info.version) == (0.1, "2")
    assert canary.fingerprint() == loaded.fingerprint

    registry.set_share(newest, 0.5)
    assert canary.fingerprint() != loaded.fingerprint
    again = canary.load(loaded)
    assert canary.share == 0.5
    assert again.predictor is loaded.predictor, "another share loads nothing"

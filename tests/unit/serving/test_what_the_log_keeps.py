"""Beside the answer, the log keeps how a photo looks, where it is from, and whether people shall look at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from animal_classification.imaging.statistics import NAMES
from animal_classification.inference import Classifier
from animal_classification.serving.middleware.api_keys import new_key, write_keys
from animal_classification.serving.models.loader import LoadedModel
from tests.unit.serving.conftest import BLUE, GREEN, RED, assert_problem, encoded, send
from tests.unit.serving.test_feedback_routes import logged, opened, rows, say  # noqa: F401

MakeClient = Callable[..., TestClient]


def test_how_a_photo_looks(logged: TestClient, tmp_path: Path) -> None:  # noqa: F811
    dark, bright = (encoded((level, level, level)) for level in (10, 250))
    send(logged, ("dark.jpg", dark), ("bright.jpg", bright))
    opened(logged)
    found = {row["file"]: np.frombuffer(row["stats"], "<f2") for row in rows(tmp_path)}
    brightness = {name: float(values[NAMES.index("brightness")]) for name, values in found.items()}
    assert brightness["dark.jpg"] < 16
    assert brightness["bright.jpg"] > 240


def test_where_it_is_from(logged: TestClient, tmp_path: Path) -> None:  # noqa: F811
    files = [("files", ("a.jpg", encoded(RED)))]
    logged.post("/v1/predict", files=files, data={"source": "cam 1"}, headers={"X-Animals-Source": "not this"})
    logged.post("/v1/predict", files=files, headers=[(b"X-Animals-Source", "ferme à cheval".encode())])
    logged.post("/v1/predict?source=gate", content=encoded(RED), headers={"Content-Type": "image/jpeg"})
    logged.post("/v1/predict", files=files)
    opened(logged)
    assert [row["source"] for row in rows(tmp_path)] == ["cam 1", "ferme à cheval", "gate", ""]


@pytest.mark.parametrize("source", ["x" * 81, "a\tb", "line\nbreak"])
def test_what_is_no_source(logged: TestClient, source: str) -> None:  # noqa: F811
    assert_problem(send(logged, ("a.jpg", encoded(RED)), source=source), 422, "invalid-values")
    if "\n" not in source:
        files = [("files", ("a.jpg", encoded(RED)))]
        response = logged.post("/v1/predict", files=files, headers={"X-Animals-Source": source})
        assert_problem(response, 422, "invalid-source")


def test_a_key_is_a_source(client_with: MakeClient, tmp_path: Path) -> None:
    secret, key = new_key("river", ("predict",))
    write_keys(tmp_path / "keys.json", [key])
    client = client_with(keys_file=str(tmp_path / "keys.json"), prediction_log=True, log_folder=str(tmp_path / "log"))
    files = [("files", ("a.jpg", encoded(RED)))]
    assert client.post("/v1/predict", files=files, headers={"X-API-Key": secret}).status_code == 200
    client.app.state.predictions.log.flush()  # type: ignore[attr-defined]
    assert [row["source"] for row in rows(tmp_path / "log")] == ["river"]


def test_a_canary_says_so(logged: TestClient, classifier: Classifier, tmp_path: Path) -> None:  # noqa: F811
    send(logged, ("a.jpg", encoded(RED)))
    logged.app.state.service.install_canary("tiny", LoadedModel(classifier, 4), 1.0)  # type: ignore[attr-defined]
    send(logged, ("b.jpg", encoded(GREEN)))
    opened(logged)
    assert [bool(row["canary"]) for row in rows(tmp_path)] == [False, True]


def test_the_audit_comes_first_in_the_review_and_a_burst_once(client_with: MakeClient, tmp_path: Path) -> None:
    client = client_with(prediction_log=True, log_folder=str(tmp_path), audit_per_day=2)
    for name, colour in (("red.jpg", RED), ("again.jpg", RED), ("green.jpg", GREEN), ("blue.jpg", BLUE)):
        send(client, (name, encoded(colour)))
    page = opened(client)
    kept = {row["file"]: row for row in rows(tmp_path)}
    assert kept["again.jpg"]["audit"] is None
    assert [kept[name]["audited"] for name in ("red.jpg", "green.jpg")] == [1, 1]
    assert kept["blue.jpg"]["audit"] == pytest.approx(2 / 3)
    audited = [entry["audited"] for entry in page["predictions"]]
    assert audited == sorted(audited, reverse=True)
    assert sum(audited) >= 2
    assert page["total"] == 3


def test_pages_of_the_review_are_each_photo_once(client_with: MakeClient, tmp_path: Path) -> None:
    client = client_with(prediction_log=True, log_folder=str(tmp_path), audit_per_day=3)
    for shade in range(0, 240, 20):
        send(client, (f"{shade}.jpg", encoded((shade, 255 - shade, shade // 2))))
    whole = [entry["id"] for entry in opened(client, limit=100)["predictions"]]
    paged: list[str] = []
    after = None
    while True:
        page = opened(client, limit=2, **({"after": after} if after else {}))
        paged += [entry["id"] for entry in page["predictions"]]
        after = page["next"]
        if after is None:
            break
    assert paged == whole
    assert len(set(whole)) == len(whole) == 12
    say(client, whole[0])
    assert [entry["id"] for entry in opened(client, limit=100)["predictions"]] == whole[1:]

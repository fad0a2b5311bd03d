"""Gradio's front end over a server: it comes through the API's own door, as the visitor that asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

gr = pytest.importorskip("gradio", reason="needs: pip install 'animals-in-photos[gradio]'")

from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.serving.ui.gradio_app import NONE, ClassifierBackend, ServerBackend, make_demo
from animal_classification.settings import Settings
from tests.unit.serving.conftest import RED, YELLOW, encoded


def visitor(host: str) -> Any:
    return gr.Request(client={"host": host}, session_hash="x")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(RED))
    return path


def handler(backend: Any, name: str) -> Callable[..., Any]:
    """What an event of that API name calls."""

    async def build() -> Any:
        return make_demo(backend)

    found: Callable[..., Any] = next(one.fn for one in asyncio.run(build()).fns.values() if one.api_name == name)
    return found


def test_each_visitor_is_charged(classifier: Classifier, photo: Path) -> None:
    backend = ServerBackend(create_app(classifier, Settings(rate_limit=1)))

    async def scenario() -> None:
        for host in ("192.0.2.1", "198.51.100.1"):
            entry = await backend.name(photo, heatmap=False, request=visitor(host))
            assert (entry["label"], entry["file"]) == ("cat", "photo.jpg")
        with pytest.raises(gr.Error, match=r"^'?More than 1 photos a minute"):
            await backend.name(photo, heatmap=False, request=visitor("192.0.2.1"))

    asyncio.run(scenario())


def test_the_bounds_of_the_server_hold(classifier: Classifier, photo: Path) -> None:
    backend = ServerBackend(create_app(classifier, Settings(max_file_bytes=100)))
    entry = asyncio.run(backend.name(photo, heatmap=False, request=visitor("192.0.2.1")))
    assert entry["error"] == "is larger than 100 bytes; send a smaller one"
    with pytest.raises(gr.Error, match=r"This photo is larger than 100 bytes"):
        asyncio.run(handler(backend, "predict")(str(photo), visitor("192.0.2.1")))


def test_what_is_answered_is_what_the_api_says(classifier: Classifier, photo: Path, tmp_path: Path) -> None:
    chair = tmp_path / "chair.jpg"
    chair.write_bytes(encoded(YELLOW))
    notes = tmp_path / "notes.jpg"
    notes.write_text("only text")
    for backend in (ClassifierBackend(classifier), ServerBackend(create_app(classifier))):
        predict = handler(backend, "predict")
        said, shares, heatmap, identity = asyncio.run(predict(str(photo), visitor("192.0.2.1")))
        assert said == "## Cat\nI am sure: >99%."
        assert shares["cat"] > 0.99
        assert heatmap.size == (32, 32)
        assert identity
        said, shares, heatmap, _ = asyncio.run(predict(str(chair), visitor("192.0.2.1")))
        assert said.startswith("## No animal found")
        assert shares.keys() == {"no animal that I know", "an animal"}
        assert heatmap is None
        with pytest.raises(gr.Error, match="is text, not a photo"):
            asyncio.run(predict(str(notes), visitor("192.0.2.1")))
        many = handler(backend, "predict_many")
        (named,) = asyncio.run(many([str(photo), str(notes)], visitor("192.0.2.1")))
        assert named == (str(photo), "Cat: I am sure: >99%.")


def test_a_correction_is_a_word_of_feedback(classifier: Classifier, photo: Path, tmp_path: Path) -> None:
    app = create_app(classifier, Settings(prediction_log=True, log_folder=str(tmp_path / "log")))
    backend = ServerBackend(app)
    assert sorted(backend.labels) == ["cat", "dog", "lion"]
    correct = handler(backend, "correct")

    async def scenario() -> None:
        entry = await backend.name(photo, heatmap=False, request=visitor("192.0.2.1"))
        assert await correct(entry["id"], "lion", visitor("192.0.2.1")) == "Thank you: lion."
        assert await correct(entry["id"], NONE, visitor("192.0.2.1")) == f"Thank you: {NONE}."
        assert await correct(entry["id"], "unicorn", visitor("192.0.2.1")) == "Thank you: unicorn."
        with pytest.raises(gr.Error, match="begins with a letter"):
            await correct(entry["id"], "=unicorn", visitor("192.0.2.1"))
        with pytest.raises(gr.Error, match="Show a photo first"):
            await correct("", "lion", visitor("192.0.2.1"))

    asyncio.run(scenario())
    app.state.predictions.close()


def test_where_nothing_is_kept_nothing_can_be_corrected(classifier: Classifier) -> None:
    for backend in (ClassifierBackend(classifier), ServerBackend(create_app(classifier))):
        assert list(backend.labels) == []
        with pytest.raises(StopIteration):
            handler(backend, "correct")

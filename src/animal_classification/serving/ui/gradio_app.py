"""Gradio's front end: the usual components over a classifier in this process, or over all of a server of ours.

``animals up --gradio`` shows it at ``/gradio``, over the server's own API: one intake, one log, the same bounds.
``examples/huggingface_space`` shows it by itself. Its API names are ``/predict``, ``/predict_many`` and ``/correct``.
"""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import gradio as gr
import httpx
from PIL import Image

from animal_classification.errors import ImageError
from animal_classification.inference.results import FileResult
from animal_classification.serving.batching.inference_jobs import PhotoOutcome
from animal_classification.serving.batching.slow_work import in_thread
from animal_classification.serving.http.schemas import as_entry
from animal_classification.serving.ui.gradio_uploads import KEEP, SWEEP_EVERY
from animal_classification.serving.ui.pages import EXAMPLES, example_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI

    from animal_classification.inference import Classifier

Entry = dict[str, Any]
WAITING, AT_ONCE = 64, 4
TIMEOUT = 300.0  # seconds; the server's own bounds are shorter
NONE = "no animal"
INTRODUCTION = "# Which animal is this?\nShow me a photo: I name the animal, and tell you when there is none."


class Backend(Protocol):
    """What names photos. ``labels`` are those that a correction can say: none where nothing is kept."""

    @property
    def labels(self) -> Sequence[str]: ...

    async def name(self, photo: Path, *, heatmap: bool, request: gr.Request) -> Entry:
        """An entry of ``/v1/predict``, with words."""

    async def correct(self, word: Entry, request: gr.Request) -> None:
        """A body of ``/v1/feedback``."""


class ClassifierBackend:
    """A classifier by itself: nothing is kept, so nothing can be corrected."""

    def __init__(self, classifier: Classifier) -> None:
        self.labels: Sequence[str] = ()
        self._classifier = classifier

    async def name(self, photo: Path, *, heatmap: bool, request: gr.Request) -> Entry:
        return await in_thread(lambda: self._name(photo, heatmap))

    async def correct(self, word: Entry, request: gr.Request) -> None:
        raise gr.Error("nothing is kept here, so nothing can be corrected")

    def _name(self, photo: Path, heatmap: bool) -> Entry:
        info = self._classifier.info
        try:
            prediction = self._classifier.predict(photo)
        except ImageError as error:
            return as_entry(PhotoOutcome(FileResult(photo.name, error=error.reason)), info, words=True)
        heat = self._classifier.heatmap(photo, prediction.label_id) if heatmap else None
        return as_entry(PhotoOutcome(FileResult(photo.name, prediction), heat), info, words=True)


class ServerBackend:
    """An application of :func:`animal_classification.serving.create_app`, asked over its own API without a network."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        info = app.state.service.predictor.info
        self.labels: Sequence[str] = [label.name for label in info.labels] if app.state.predictions is not None else []

    async def name(self, photo: Path, *, heatmap: bool, request: gr.Request) -> Entry:
        files = {"files": (photo.name, await in_thread(photo.read_bytes))}
        options = {"words": "true", "heatmap": str(heatmap).lower()}
        found = await self._post("/v1/predict", request, files=files, data=options)
        return dict(found["predictions"][0])

    async def correct(self, word: Entry, request: gr.Request) -> None:
        await self._post("/v1/feedback", request, json=word)

    async def _post(self, path: str, request: gr.Request, **content: Any) -> Entry:
        # The visitor's own address, so that the bounds of the API hold for each of them.
        client = (request.client.host, 0) if request.client else ("127.0.0.1", 0)
        transport = httpx.ASGITransport(self._app, client=client)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=TIMEOUT) as api:
            answer = await api.post(path, **content)
        body: Entry = answer.json()
        if answer.is_error:
            raise gr.Error(f"{body['detail'][:1].upper()}{body['detail'][1:]}.", print_exception=False)
        return body


def make_demo(backend: Backend) -> gr.Blocks:
    """The front end; ``launch()`` it, or mount it."""

    async def predict(photo: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Name the animal in one photo: what to tell a person, the five most probable, where it looked, an id."""
        if photo is None:
            return "", None, None, ""
        entry = await backend.name(Path(photo), heatmap=True, request=request)
        if entry["error"]:
            raise gr.Error(f"This photo {entry['error']}.", print_exception=False)
        words = entry["words"]
        said = f"## {words['headline']}\n" + (f"*{words['taxon']}*\n\n" if words["taxon"] else "") + words["sentence"]
        return said, _shares(entry), None if entry["unknown"] else _picture(entry["heatmap"]), entry["id"]

    async def predict_many(photos: list[str] | None, request: gr.Request) -> list[tuple[str, str]]:
        """Name the animals in many photos: each with what to tell a person."""
        entries = [(path, await backend.name(Path(path), heatmap=False, request=request)) for path in photos or ()]
        return [(path, _caption(entry)) for path, entry in entries if not entry["error"]] or _refuse(entries)

    async def correct(identity: str, label: str | None, request: gr.Request) -> str:
        """Say which animal a photo shows, for the review and the next training."""
        if not identity or not label:
            raise gr.Error("Show a photo first, then choose its animal.", print_exception=False)
        word = {"verdict": "none"} if label == NONE else {"verdict": "corrected", "label": label}
        await backend.correct({"id": identity, **word}, request)
        return f"Thank you: {label}."

    with gr.Blocks(title="Which animal is this?", analytics_enabled=False, delete_cache=(SWEEP_EVERY, KEEP)) as demo:
        gr.Markdown(INTRODUCTION)
        with gr.Tab("One photo"), gr.Row():
            with gr.Column():
                photo = gr.Image(label="Photo", type="filepath", image_mode=None, height=380)
                files = [str(example_path(name)) for name in EXAMPLES]
                gr.Examples(files, photo, label="Or try one of these", example_labels=[*EXAMPLES.values()])
            with gr.Column():
                said = gr.Markdown()
                shares = gr.Label(label="Most probable", num_top_classes=5)
                heatmap = gr.Image(label="Where I looked", interactive=False, height=240)
                identity = gr.Textbox(label="Id of this answer", visible=False)
                if backend.labels:
                    _add_correction(backend.labels, identity, correct)
        with gr.Tab("Many photos"):
            photos = gr.File(label="Photos", file_count="multiple", file_types=["image"])
            gallery = gr.Gallery(label="Answers", columns=4, object_fit="cover")
        photo.change(predict, photo, [said, shares, heatmap, identity], api_name="predict")
        photos.change(predict_many, photos, gallery, api_name="predict_many")
    queued: gr.Blocks = demo.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE, api_open=False)
    return queued


def _add_correction(labels: Sequence[str], identity: gr.Textbox, correct: Any) -> None:
    with gr.Accordion("Is that wrong?", open=False):
        label = gr.Dropdown([*sorted(set(labels), key=str.casefold), NONE], value=None, label="It is")
        thanks = gr.Markdown()
        gr.Button("Send the correction").click(correct, [identity, label], thanks, api_name="correct")


def _shares(entry: Entry) -> dict[str, float]:
    if entry["unknown"]:
        none = entry["answer"]["probability"]
        return {"no animal that I know": none, "an animal": 1 - none}
    return {guess["label"]: guess["probability"] for guess in entry["top"][:5]}


def _caption(entry: Entry) -> str:
    words = entry["words"]
    return f"{words['headline']}: {words['sentence']}"


def _refuse(entries: Sequence[tuple[str, Entry]]) -> list[tuple[str, str]]:
    if entries:
        raise gr.Error(f"{Path(entries[0][0]).name} {entries[0][1]['error']}.", print_exception=False)
    return []


def _picture(data_url: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(data_url.partition(",")[2])))

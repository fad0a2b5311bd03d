"""The page, put together with Gradio: three pieces of HTML and one event."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import gradio as gr
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from animal_classification.imaging import Limits
from animal_classification.serving.page import answers
from animal_classification.serving.page.examples import Example, available, chosen
from animal_classification.serving.page.hosting import KEEP, SWEEP_EVERY
from animal_classification.serving.page.pictures import EXAMPLE, FULL, THUMBNAIL, picture
from animal_classification.serving.page.words import counted
from animal_classification.serving.problems import ProblemError
from animal_classification.serving.tabs import pages as tabs
from animal_classification.serving.uploads import Photo, base_name, readable_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animal_classification.serving.models.served import ServedModel
    from animal_classification.serving.service import Service
    from animal_classification.settings import Settings

HERE = Path(__file__).parent
GRADIO = Path(gr.__file__).parent
HEAD = """\
<meta name="description" content="Names the animal in a photo, says how sure it is, and tells when there is none.">
<meta name="color-scheme" content="light dark">
"""
EXPIRED = "did not arrive in one piece; please drop it again"


class SentPhoto(BaseModel):
    """One photo, as the browser tells of it."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    path: str | None = None
    problem: Literal["large", "upload"] | None = None


class Visit(BaseModel):
    """What a visitor asks for. Comes from a browser, so nothing in it is believed."""

    model_config = ConfigDict(extra="forbid")

    photos: list[SentPhoto] = []
    left_out: int = Field(default=0, ge=0)
    example: str | None = None


def make_page(service: Service, settings: Settings, uploads: Path) -> gr.Blocks:
    """Build the page.

    Args:
        service: What answers.
        settings: Bounds on photos.
        uploads: The folder into which Gradio receives files; no other is ever read.
    """
    examples = available(GRADIO)

    async def on_submit(event: gr.EventData) -> str:
        try:
            return await _answer(event._data, service, settings, examples, uploads)
        except ProblemError as problem:  # the queue is full, or the server is stopping
            return answers.trouble("Too many photos at once", f"Please try again in a moment: {problem.detail}.")
        except Exception:  # a visitor gets an answer whatever breaks; Gradio would show an empty red box
            logging.getLogger(__name__).exception("a visit to the page failed")
            return answers.trouble("Something went wrong here", "It is not your photo's fault. Please try again.")

    with gr.Blocks(
        title="Which animal is this?", analytics_enabled=False, fill_width=True, delete_cache=(SWEEP_EVERY, KEEP)
    ) as blocks:
        links = tabs.navigation(tabs.tabs_of(settings), tabs.CLASSIFY)
        gr.HTML(
            answers.fill("head.html", navigation=links),
            elem_id="head",
            apply_default_css=False,
            js_on_load=None,
        )
        answer = gr.HTML("", elem_id="answer", apply_default_css=False, js_on_load=_script("answer"))
        intake = gr.HTML(
            _intake(settings, examples),
            elem_id="intake",
            apply_default_css=False,
            js_on_load=_script("intake"),
        )
        intake.submit(
            on_submit,
            outputs=answer,
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=2 * service.predictor.threads,
            trigger_mode="multiple",
        )
    page: gr.Blocks = blocks.queue(max_size=64)
    return page


def head() -> str:
    """What goes into the page's head."""
    style = "".join(path.read_text("utf-8") for path in (tabs.STATIC / "palette.css", HERE / "static" / "style.css"))
    return f"{HEAD}<style>{style}</style>"


def _script(name: str) -> str:
    return (HERE / "static" / f"{name}.js").read_text("utf-8")


def _intake(settings: Settings, examples: Sequence[Example]) -> str:
    limits = Limits(max_bytes=settings.max_file_bytes, max_pixels=settings.max_pixels)
    shown = ((example, picture(example.path(GRADIO).read_bytes(), EXAMPLE, limits)) for example in examples)
    return answers.fill(
        "intake.html",
        max_files=settings.max_files,
        max_bytes=settings.max_file_bytes,
        examples=[{"key": item.key, "title": item.title, "url": image.url} for item, image in shown if image],
        kept=_what_is_kept(settings),
    )


def _what_is_kept(settings: Settings) -> str:
    """What becomes of a photo, in one sentence that is true."""
    if settings.keep_photos == "no":
        kept = "but what I say of them is kept for the review" if settings.prediction_log else ""
        return f"Photos go nowhere else and are deleted within minutes{', ' * bool(kept)}{kept}."
    what = "small copies of them" if settings.keep_photos == "thumbnail" else "they"
    days = f" for {counted(round(settings.photo_days), 'day')}" if settings.photo_days else ""
    return f"Photos go nowhere else; {what} are kept on this server{days}, for the review."


def _received(visit: Visit, examples: tuple[Example, ...], uploads: Path, settings: Settings) -> list[Photo]:
    if visit.example is not None:
        found = chosen(visit.example, examples)
        return [Photo(Path(item.file).name, item.path(GRADIO).read_bytes()) for item in found]
    return [_read(sent, uploads, settings) for sent in visit.photos[: settings.max_files]]


def _read(sent: SentPhoto, uploads: Path, settings: Settings) -> Photo:
    name = base_name(sent.name) or "photo"
    bound = settings.max_file_bytes
    if sent.problem == "large":
        return Photo(name, b"", f"is larger than {readable_size(bound)}")
    try:
        path = Path(sent.path or "").resolve()
        if not path.is_relative_to(uploads.resolve()) or not path.is_file() or path.stat().st_size > bound:
            return Photo(name, b"", EXPIRED)
        return Photo(name, path.read_bytes())
    except (OSError, ValueError):
        return Photo(name, b"", EXPIRED)


async def _answer(
    payload: object, service: Service, settings: Settings, examples: tuple[Example, ...], uploads: Path
) -> str:
    try:
        visit = Visit.model_validate(payload)
    except ValidationError:
        return answers.trouble("I did not understand that", "Please load the page again.")
    photos = await service.run(_received, visit, examples, uploads, settings)
    if not photos:
        return answers.trouble("There was no photo", "Please drop one, or choose one.")
    with service.using(photos=photos) as model:
        looks = await _look(service, photos, model)
        if len(looks) == 1:
            return await service.run(answers.one, looks[0], model.info, model.predictor.bundle.preprocess_spec)
        return await service.run(partial(answers.many, looks, model.info, left_out=visit.left_out))


async def _look(service: Service, photos: Sequence[Photo], model: ServedModel) -> list[answers.Look]:
    single = len(photos) == 1
    side = FULL if single else THUMBNAIL
    outcomes, pictures = await asyncio.gather(
        service.identify(photos, heatmap=single, model=model),
        asyncio.gather(*(service.run(picture, photo.data, side, service.limits) for photo in photos)),
    )
    return [answers.Look(outcome, shown) for outcome, shown in zip(outcomes, pictures, strict=True)]

"""A model's card as HTML, for the Model page. The card itself, Markdown, is at ``/v1/models/NAME/card``."""

# Imported where it is used: markdown-it takes 50 ms to load, and most servers are never asked for a card.

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from animal_classification.serving.http.model_routes import read_card
from animal_classification.serving.middleware.route_scopes import PREDICT, ScopedRoute, requires

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markdown_it.token import Token

    from animal_classification.serving.service import ModelService

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def make_router(service: ModelService) -> APIRouter:
    """The route that the page asks."""
    router = APIRouter(include_in_schema=False, route_class=ScopedRoute)

    @router.get("/tabs/cards/{name}")
    @requires(PREDICT)
    async def card(name: str) -> HTMLResponse:
        return HTMLResponse(await service.run(as_html, await read_card(service, name)))

    return router


def as_html(markdown: str) -> str:
    """A card as part of a page: one level of headings lower, and without its front matter.

    HTML in the Markdown becomes text. Links and pictures lead away from this machine, so only their words are shown.
    """
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    renderer.add_render_rule("code_block", _preformatted)
    renderer.add_render_rule("fence", _preformatted)
    tokens = renderer.parse(_FRONT_MATTER.sub("", markdown.replace("\r\n", "\n"), count=1))
    return str(renderer.renderer.render(list(_adapted(_without_empty_heads(tokens))), renderer.options, {}))


def _without_empty_heads(tokens: Iterable[Token]) -> Iterator[Token]:
    """Markdown demands a head for every table; one without words is not shown."""
    head: list[Token] = []
    for token in tokens:
        if not head and token.type != "thead_open":
            yield token
            continue
        head.append(token)
        if token.type == "thead_close":
            yield from head if any(part.content for part in head) else ()
            head = []


def _adapted(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.type in {"link_open", "link_close"}:
            continue
        if token.type == "image":
            token.type, token.tag = "text", ""  # its content is the text in place of the picture
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1:]) + 1)}"
        if token.tag in {"th", "td"}:  # the content policy refuses inline styles
            token.attrs = {"scope": "col"} if token.type == "th_open" else {}
        if token.children:
            token.children = list(_adapted(token.children))
        yield token


def _preformatted(_: Any, tokens: Sequence[Token], index: int, *__: Any) -> str:
    return f"<pre>{escape(tokens[index].content.rstrip(), quote=False)}</pre>\n"

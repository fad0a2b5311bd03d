"""Markdown as one page that needs no other file: its pictures are put inside."""

# Imported where they are used: markdown-it-py is needed by nothing else.

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from animal_classification.common.text_files import read_text, write_text
from animal_classification.errors import UsageError
from animal_classification.report.page import require, template

if TYPE_CHECKING:
    from markdown_it.token import Token

_KINDS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp"}
_LARGEST = 20_000_000
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def write_page(source: Path, target: Path) -> None:
    """Write the page.

    Raises:
        UsageError: The text or one of its pictures is not there.
        OutputError: The system refuses.
    """
    require()
    write_text(render(read_text(source), source.parent, source.stem), target)


def render(text: str, folder: Path, name: str) -> str:
    """The page as text; HTML within the Markdown is shown as it is written, and not obeyed.

    Args:
        text: Markdown; front matter and comments are left out.
        folder: Where its pictures are.
        name: The page's title, if the text has no heading.
    """
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    tokens = reader.parse(_COMMENT.sub("", _FRONT_MATTER.sub("", text)))
    title = name
    for place, token in enumerate(tokens):
        if token.type == "heading_open" and title == name:
            title = _plain(tokens[place + 1]) or name
        for child in token.children or ():
            if child.type == "image":
                child.attrSet("src", _inside(str(child.attrGet("src") or ""), folder))
    body = reader.renderer.render(tokens, reader.options, {})
    return template("text.html.j2", {"title": title, "body": body})


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or ())


def _inside(address: str, folder: Path) -> str:
    """A picture of the text's own folder as a data URL."""
    path = (folder / unquote(address)).resolve()
    kind = _KINDS.get(path.suffix.lower())
    if "://" in address or address.startswith(("data:", "//")):
        raise UsageError(f"the picture {address!r} is not a file; put it beside the text and name it there")
    if kind is None:
        raise UsageError(f"the picture {address!r} is not one of {', '.join(sorted(_KINDS))}")
    if not path.is_relative_to(folder.resolve()):
        raise UsageError(f"the picture {address!r} lies outside of the text's folder; put it beside the text")
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"the picture {address!r} has more than {_LARGEST // 1_000_000} MB; make it smaller")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the picture {address!r}: {error.strerror or error}") from error
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"

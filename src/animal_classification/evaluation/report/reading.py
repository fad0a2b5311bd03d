"""A page as a list of pieces that can be compared: numbers with their keys, words, and how plots are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser

_CLAIM = "data-claim"
_VOID = frozenset({"meta", "img", "br", "line", "rect", "circle", "link", "input", "hr"})


@dataclass(frozen=True, slots=True)
class Piece:
    """One of them.

    Attributes:
        kind: ``number``, ``words``, ``element`` or ``end``.
        name: A number's key, or an element's tag.
        text: What is read there; empty for elements.
        attributes: Of an element, by name; pictures are left out.
    """

    kind: str
    name: str = ""
    text: str = ""
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def shape(self) -> tuple[object, ...]:
        """What must be the same for two pieces to be in the same place: everything but the numbers."""
        if self.kind == "number":
            return self.kind, self.name
        if self.kind == "words":
            return self.kind, self.text
        return self.kind, self.name, tuple(name for name, _ in self.attributes)


def pieces_of(page: str) -> list[Piece]:
    """Take a page apart."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.finish()


class _Reader(HTMLParser):
    """Collects pieces; words between two tags are one piece, however they are broken into lines."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[Piece] = []
        self._words: list[str] = []
        self._key: str | None = None
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._key is not None:  # nothing but text belongs into a number
            self._depth += tag not in _VOID
            return
        self._flush()
        values = {name: value or "" for name, value in reversed(attrs)}  # of two of a name, the first counts
        if _CLAIM in values:
            self._key, self._depth = values.pop(_CLAIM), 1
            if values:
                self._pieces.append(Piece("element", tag, attributes=tuple(sorted(values.items()))))
            return
        kept = {name: value for name, value in values.items() if not _is_picture(tag, name, value)}
        self._pieces.append(Piece("element", tag, attributes=tuple(sorted(kept.items()))))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._key is not None:
            self._depth -= 1
            if self._depth == 0:
                self._pieces.append(Piece("number", self._key, "".join(self._words).strip()))
                self._words, self._key = [], None
            return
        self._flush()
        if tag not in _VOID:
            self._pieces.append(Piece("end", tag))

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    def handle_comment(self, data: str) -> None:
        """The recipe is one; it is read by itself."""

    def finish(self) -> list[Piece]:
        """All of them."""
        self._flush()
        return self._pieces

    def _flush(self) -> None:
        text = " ".join("".join(self._words).split())
        self._words = []
        if text:
            self._pieces.append(Piece("words", text=text))


def _is_picture(tag: str, name: str, value: str) -> bool:
    return tag == "img" and name == "src" and value.startswith("data:image/")

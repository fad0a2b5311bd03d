"""A page as a list of pieces that can be compared: numbers with their keys, words, and how plots are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser

from animal_classification.report.images import NO_PICTURE, is_jpeg
from animal_classification.report.report_inputs import is_recipe

_CLAIM = "data-claim"
_VOID = frozenset({"meta", "img", "br", "line", "rect", "circle", "link", "input", "hr"})


@dataclass(frozen=True, slots=True)
class Piece:
    """One of them.

    Attributes:
        kind: ``number``, ``words``, ``element``, ``end``, or what a page of ours has once or never: ``comment``,
            ``declaration``, ``instruction``.
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
        if self.kind in ("words", "comment", "declaration", "instruction"):
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

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._key is not None:  # nothing but text belongs into a number, so that this is no number any more
            self._end_number()
        self._flush()
        values = {name: value or "" for name, value in reversed(attrs)}  # of two of a name, the first counts
        if _CLAIM in values:
            self._key = values.pop(_CLAIM)
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
            self._end_number()
            return
        self._flush()
        if tag not in _VOID:
            self._pieces.append(Piece("end", tag))

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    def handle_comment(self, data: str) -> None:
        """The recipe is one, and is read by itself; of others, browsers and this may not agree where they end."""
        if not is_recipe(data):
            self._other("comment", data)

    def handle_decl(self, decl: str) -> None:
        self._other("declaration", decl)

    def handle_pi(self, data: str) -> None:
        self._other("instruction", data)

    def unknown_decl(self, data: str) -> None:
        self._other("declaration", data)

    def finish(self) -> list[Piece]:
        """All of them."""
        self._flush()
        return self._pieces

    def _other(self, kind: str, data: str) -> None:
        if self._key is not None:
            self._end_number()
        self._flush()
        self._pieces.append(Piece(kind, text=data))

    def _end_number(self) -> None:
        assert self._key is not None
        self._pieces.append(Piece("number", self._key, "".join(self._words).strip()))
        self._words, self._key = [], None

    def _flush(self) -> None:
        text = " ".join("".join(self._words).split())
        self._words = []
        if text:
            self._pieces.append(Piece("words", text=text))


def _is_picture(tag: str, name: str, value: str) -> bool:
    """Whether an attribute is a photo, which shows no words of ours: JPEG, or the square in its place."""
    return tag == "img" and name == "src" and (value == NO_PICTURE or is_jpeg(value))

"""Reads photos from a body, multipart or one photo by itself; every bound is enforced while the bytes arrive.

Nothing touches the disk, and a photo that is too large is dropped as it comes. The whole body is bounded by
:mod:`animal_classification.serving.middleware.request_bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from animal_classification.serving.http.problem_details import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from python_multipart.multipart import MultipartCallbacks

    from animal_classification.settings import Settings

MAX_FIELDS = 16
MAX_FIELD_BYTES = 256
MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class UploadedPhoto:
    """One photo as it was sent.

    Attributes:
        name: Of the file, without folders.
        data: Its bytes.
        error: Why they were refused.
        source: The camera or site that it is from; empty where nobody said.
    """

    name: str
    data: bytes
    error: str | None = None
    source: str = ""


@dataclass(slots=True)
class Form:
    """A request body, read: the photos in the order sent, and the text fields."""

    photos: list[UploadedPhoto] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


def base_name(name: str) -> str:
    """A client's file name without folders and control characters; it is shown, and never opened."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(char for char in last if char.isprintable())[:MAX_NAME]


async def read_form(content_type: str, chunks: AsyncIterator[bytes], settings: Settings) -> Form:
    """Read a multipart body, or one that is a photo itself.

    Args:
        content_type: The request's header.
        chunks: The body; how long it may be is not decided here.
        settings: Bounds on files.

    Raises:
        ProblemError: The body is neither multipart nor a photo, malformed, empty, or over a bound.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind.startswith(b"image/"):
        return await _read_photo(chunks, settings)
    if kind != b"multipart/form-data" or not boundary:
        sent = content_type[:80] or "nothing"
        detail = f"send photos as multipart/form-data in the field 'files', or one photo as image/jpeg; not as {sent!r}"
        raise ProblemError(415, detail, kind="not-multipart")
    reader = _Reader(settings)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise ProblemError(400, f"the multipart body is malformed: {error}", kind="malformed-body") from None
    if not reader.complete:
        raise ProblemError(400, "the multipart body ends before its closing boundary", kind="malformed-body")
    if not reader.form.photos:
        raise ProblemError(422, "no photo was sent: put one or more into the form field 'files'", kind="no-files")
    return reader.form


async def _read_photo(chunks: AsyncIterator[bytes], settings: Settings) -> Form:
    data = bytearray()
    too_large = False
    async for chunk in chunks:
        too_large = too_large or len(data) + len(chunk) > settings.max_file_bytes
        if too_large:
            data.clear()
        else:
            data += chunk
    if not data and not too_large:
        raise ProblemError(422, "the body is empty: put a photo into it", kind="no-files")
    error = file_too_large(settings.max_file_bytes) if too_large else None
    return Form([UploadedPhoto("", bytes(data), error)])


def file_too_large(bound: int) -> str:
    """Why one photo was refused."""
    return f"is larger than {readable_size(bound)}; send a smaller one"


def readable_size(count: int) -> str:
    """Bytes for people: ``32 MB``."""
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


class _Reader:
    """Receives the parser's events and keeps what is within bounds."""

    def __init__(self, settings: Settings) -> None:
        self.form = Form()
        self.complete = False
        self._settings = settings
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._field = ""
        self._file: str | None = None
        self._data = bytearray()
        self._too_large = False
        self._text_fields = 0
        self._parts = 0

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._on_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        # Parts of no use count as well: a body may have room for millions of them.
        self._parts += 1
        if self._parts > self._settings.max_files + MAX_FIELDS:
            raise ProblemError(
                413, "the body has too many parts; send the photos in several requests", kind="too-many-files"
            )
        self._disposition = b""
        self._data = bytearray()
        self._too_large = False

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        name = options.get(b"filename")
        # A 'files' part without a file name is a photo all the same: some clients leave the name away.
        self._file = (name or b"").decode("utf-8", "replace") if name is not None or self._field == "files" else None
        if self._file is None:
            self._text_fields += 1
            if self._text_fields > MAX_FIELDS:
                raise ProblemError(413, f"more than {MAX_FIELDS} text fields", kind="too-many-fields")
        elif self._field != "files":
            detail = f"unexpected file field {self._field[:80]!r}: photos go into the field 'files'"
            raise ProblemError(422, detail, kind="unexpected-field")
        elif len(self.form.photos) >= self._settings.max_files:
            detail = f"more than {self._settings.max_files} photos in one request; send them in several"
            raise ProblemError(413, detail, kind="too-many-files")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        bound = MAX_FIELD_BYTES if self._file is None else self._settings.max_file_bytes
        if self._too_large or len(self._data) + end - start > bound:
            self._too_large = True
            self._data = bytearray()
            return
        self._data += memoryview(data)[start:end]

    def _part_end(self) -> None:
        if self._file is None:
            self._add_field()
        elif self._file or self._data or self._too_large:
            # Without name and content it is what a browser sends for a field in which nothing was chosen.
            self._add_photo(self._file)
        self._data = bytearray()

    def _add_field(self) -> None:
        if self._too_large:
            raise ProblemError(413, f"the field {self._field[:80]!r} is too long", kind="field-too-long")
        self.form.fields[self._field] = self._data.decode("utf-8", "replace")

    def _add_photo(self, name: str) -> None:
        error = file_too_large(self._settings.max_file_bytes) if self._too_large else None
        self.form.photos.append(UploadedPhoto(base_name(name), bytes(self._data), error))

    def _end(self) -> None:
        self.complete = True

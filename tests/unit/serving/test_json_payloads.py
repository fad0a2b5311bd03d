"""JSON with large strings: what is left is small, and nothing gets lost."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.serving.http.json_payloads import LONG, MAX_FRAME, FrameTooLargeError, PayloadError, split

# Short ones stay short when they are escaped: a letter beyond the BMP takes twelve bytes.
TEXTS = st.text(max_size=20) | st.integers(1, 60).map(lambda count: "QUFB" * 20 * count)
VALUES = st.recursive(TEXTS | st.none() | st.integers(), lambda inner: st.lists(inner, max_size=4), max_leaves=12)


def whole(value: Any, text: bytes) -> Any:
    """Put the long strings back into a frame that was read."""
    payloads = split(text, len(text), 64)

    def back(item: Any) -> Any:
        if isinstance(item, list):
            return [back(inner) for inner in item]
        if isinstance(item, str) and len(item) == 300:
            return base64.b64encode(payloads.base64(item)).decode()
        return item

    assert len(payloads.frame) <= len(text) or b"QUFB" in text
    return back(json.loads(payloads.frame))


@given(value=VALUES, ascii_only=st.booleans())
def test_frame_and_payloads_are_the_text(value: Any, ascii_only: bool) -> None:
    text = json.dumps([value], ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert whole(value, text) == [value]


@given(data=st.binary(min_size=LONG, max_size=3_000_000 // 500), slashes=st.booleans())
def test_base64_is_decoded_as_python_does(data: bytes, slashes: bool) -> None:
    encoded = base64.b64encode(data)
    text = b'["' + (encoded.replace(b"/", b"\\/") if slashes else encoded) + b'"]'
    payloads = split(text, len(text), 64)
    (mark,) = json.loads(payloads.frame)
    assert payloads.base64(mark) == data


@pytest.mark.parametrize("size", [3 * 2**20 - 1, 3 * 2**20, 3 * 2**20 + 1])
def test_large_ones_are_decoded_in_pieces(size: int) -> None:
    data = (b"lion" * (size // 4 + 1))[:size]
    text = b'["' + base64.b64encode(data).replace(b"/", b"\\/") + b'"]'
    payloads = split(text, len(text), 64)
    (mark,) = json.loads(payloads.frame)
    assert payloads.base64(mark) == data


@pytest.mark.parametrize(
    "inside", [b"QUE=" * 400_000, b"QUFB" * 400 + b"\\", b"QUF" * 401, b"=" * 2000, b"\\u0041" * 500, b"\xff" * 2000]
)
def test_what_is_not_base64(inside: bytes) -> None:
    text = b'["' + inside + b'", 1]'
    with pytest.raises((PayloadError, json.JSONDecodeError)):
        decoded(text)


def decoded(text: bytes) -> bytes:
    payloads = split(text, len(text), 64)
    return payloads.base64(json.loads(payloads.frame)[0])


@pytest.mark.parametrize("text", [b"[" * MAX_FRAME * 4, b"[]," * MAX_FRAME, b'"",' * MAX_FRAME, b"9" * MAX_FRAME * 4])
def test_a_frame_is_small_however_it_is_nested(text: bytes) -> None:
    with pytest.raises(FrameTooLargeError):
        split(text, len(text), 64)


def test_long_strings_are_counted() -> None:
    text = json.dumps(["A" * 2000] * 65).encode()
    assert len(split(text, len(text), 65).frame) < 65 * 310
    with pytest.raises(FrameTooLargeError):
        split(text, len(text), 64)


@pytest.mark.parametrize("text", [b'"abc', b'"' + b'\\"' * 5000, b'"' + b"\\" * 5000 + b'"'])
def test_a_string_without_an_end(text: bytes) -> None:
    with pytest.raises(PayloadError):
        split(text, len(text), 64)


def test_nobody_can_write_a_mark() -> None:
    """It would have one large string decoded many times."""
    text = b'["' + b"QUFB" * 1000 + b'"]'
    (mark,) = json.loads(split(text, len(text), 64).frame)
    forged = json.dumps([mark]).encode() + text
    assert payloads_size(forged, mark) == len(mark)


def payloads_size(text: bytes, mark: str) -> int:
    return split(text, len(text), 64).size(mark)

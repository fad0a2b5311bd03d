"""Times of videos without decoding them."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.field.photo_facts import read_video_facts
from animal_classification.field.video_header import video_creation_time
from tests.support.trail_photos import RULES, put

MOMENT = datetime(2021, 7, 25, 13, 18, 48)
SECONDS = int((MOMENT - datetime(1904, 1, 1)).total_seconds())


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def mp4(seconds: int, *, version: int = 0, large: bool = False) -> bytes:
    header = struct.pack(">BxxxQ" if version else ">BxxxI", version, seconds) + bytes(92)
    pixels = bytes(3000)
    data = struct.pack(">I4sQ", 1, b"mdat", len(pixels) + 16) + pixels if large else box(b"mdat", pixels)
    return box(b"ftyp", b"mp42" + bytes(12)) + data + box(b"moov", box(b"udta", b"x") + box(b"mvhd", header))


def avi(text: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"AVI LIST" + bytes(40) + b"IDIT" + struct.pack("<I", len(text)) + text + bytes(99)


def read(data: bytes) -> str:
    return video_creation_time(lambda start, count: data[start : start + count])


@pytest.mark.parametrize("data", [mp4(SECONDS), mp4(SECONDS, version=1), mp4(SECONDS, large=True)])
def test_mp4(data: bytes) -> None:
    assert read(data) == "2021-07-25T13:18:48"


@pytest.mark.parametrize(
    "text", [b"SUN JUL 25 13:18:48 2021\n\0", b"2021:07:25 13:18:48\0", b"Sun Jul 25 13:18:48 2021"]
)
def test_avi(text: bytes) -> None:
    assert read(avi(text)) == "2021-07-25T13:18:48"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1a\x45\xdf\xa3", mp4(0), mp4(SECONDS)[:3020], avi(b"")[:20], mp4(2**63, version=1), box(b"ftyp", b"")],
)
def test_no_time_is_no_time(data: bytes) -> None:
    assert read(data) == ""


def test_a_text_that_is_no_time_is_kept_as_bad(tmp_path: Path) -> None:
    facts = read_video_facts(put(tmp_path, "a.avi", avi(b"XXX FOO 99 13:18:48 2021")), "a.avi", RULES)
    assert (facts.time, facts.time_source, facts.camera_time) == (None, "bad", "XXX FOO 99 13:18:48 2021")


@given(st.binary(max_size=300), st.sampled_from([b"", mp4(SECONDS)[:3060], avi(b"SUN JUL 25 13:18"), b"RIFF0000AVI "]))
def test_no_bytes_make_the_reader_raise(data: bytes, start: bytes) -> None:
    assert isinstance(read(start + data), str)


def test_boxes_without_end_end() -> None:
    assert read(box(b"free", b"") * 100_000) == ""


@pytest.mark.photos
@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("made/DSCF0007.MP4", datetime(2021, 7, 25, 13, 18, 48)),
        ("made/IMAG0012.AVI", datetime(2021, 4, 11, 20, 43, 9)),
        ("made/TL_20210411.TLS", datetime(2021, 4, 11, 20, 43, 9)),
        ("broken/cut_short.AVI", datetime(2021, 4, 11, 20, 43, 9)),
        ("made/PICT0003.MOV", None),
        ("made/night.mkv", None),
        ("broken/cut_short.MP4", None),
        ("broken/error_vid.mp4", None),
    ],
)
def test_real_videos(name: str, moment: datetime | None, photos_dir: Path) -> None:
    facts = read_video_facts(photos_dir / "field" / "videos" / name, name, RULES)
    assert (facts.kind, facts.time) == ("video", moment)
    assert facts.time_source == ("container" if moment else "")

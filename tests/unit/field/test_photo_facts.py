"""What a photo says of itself, and what no photo can make the reader do."""

from __future__ import annotations

import csv
import random
import struct
import tracemalloc
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import IFD

from animal_classification.field.exif_block import ExifBlock, read_exif
from animal_classification.field.photo_facts import PhotoFacts, photo_facts, read_photo_facts, video_facts
from animal_classification.field.reconyx_note import read_reconyx_note
from tests.support.trail_photos import NAMES, RULES, hyperfire, jpeg, taken

ORIGINAL, DIGITIZED, CHANGED = 0x9003, 0x9004, 0x0132
MOMENT = datetime(2021, 4, 11, 20, 43, 9)


def facts(data: bytes, name: str = "a/IMG_0001.JPG") -> PhotoFacts:
    return photo_facts(data, name, RULES)


@pytest.mark.parametrize(
    "text",
    ["2021:04:11 20:43:09", "2021-04-11 20:43:09", "2021/04/11 20:43:09", "2021.04.11 20:43:09", "2021-04-11T20:43:09"],
)
def test_times_are_read_in_every_spelling(text: str) -> None:
    assert facts(jpeg(exif={ORIGINAL: text})).time == MOMENT


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("0000:00:00 00:00:00", "0000:00:00 00:00:00"),
        ("2021:13:11 20:43:09", "2021:13:11 20:43:09"),
        ("2021:02:30 20:43:09", "2021:02:30 20:43:09"),
        ("1999:12:31 23:59:59", "1999-12-31T23:59:59"),
        ("2027:01:02 00:00:00", "2027-01-02T00:00:00"),
        ("yesterday", "yesterday"),
    ],
)
def test_a_time_that_cannot_be_is_none_and_is_kept(text: str, kept: str) -> None:
    found = facts(jpeg(exif={ORIGINAL: text}))
    assert (found.time, found.time_source, found.camera_time) == (None, "bad", kept)


@pytest.mark.parametrize("text", ["", "    :  :     :  :  ", "   "])
def test_an_empty_field_is_no_time_and_no_fault(text: str) -> None:
    found = facts(jpeg(exif={ORIGINAL: text}))
    assert (found.time, found.time_source, found.camera_time) == (None, "", "")


def test_a_time_of_the_last_change_does_not_stand_in_for_a_clock_that_was_wrong() -> None:
    found = facts(jpeg({CHANGED: "2022:01:01 10:00:00"}, exif={ORIGINAL: "1970:01:01 00:03:00"}))
    assert (found.time, found.camera_time) == (None, "1970-01-01T00:03:00")
    assert facts(jpeg({CHANGED: "2022:01:01 10:00:00"}, exif={ORIGINAL: "0000:00:00 00:00:00"})).time is not None


def test_the_most_trusted_time_comes_first() -> None:
    note = hyperfire(datetime(2021, 5, 1, 1, 1, 1))
    everything = {ORIGINAL: "2021:04:11 20:43:09", DIGITIZED: "2021:04:12 20:43:09", 0x927C: note}
    assert facts(jpeg({CHANGED: "2021:04:13 20:43:09"}, exif=everything)).time == MOMENT
    assert facts(jpeg({CHANGED: "2021:04:13 20:43:09"}, exif={0x927C: note})).time_source == "makernote"
    assert facts(jpeg({CHANGED: "2021:04:13 20:43:09"})).time == datetime(2021, 4, 13, 20, 43, 9)


def test_fractions_of_a_second_and_offsets_are_kept() -> None:
    found = facts(taken(MOMENT, x9291="5", x9011="+02:00"))
    assert (found.time, found.offset) == (MOMENT.replace(microsecond=500_000), "+02:00")
    assert found.to_record()["time"] == "2021-04-11T20:43:09.500"


@pytest.mark.parametrize(("hours", "offset"), [(-8, "-08:00"), (2, "+02:00"), (0, ""), (99, "")])
def test_an_offset_in_hours_counts_unless_nobody_has_set_it(hours: int, offset: str) -> None:
    # Pillow has no type for this tag, so that the photo is put together by hand: a signed 16-bit number.
    assert facts(_with_entry(0x882A, 8, struct.pack("<h", hours))).offset == offset


def _with_entry(tag: int, kind: int, value: bytes) -> bytes:
    """A JPEG whose EXIF has one entry of the first directory, little-endian."""
    block = (
        b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHI", tag, kind, 1) + value.ljust(4, b"\0") + b"\0\0\0\0"
    )
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + b"\xff\xd9"


@pytest.mark.parametrize(
    ("make", "model", "right"),
    [
        ("G6.1", "CUDDEBACK", ("CUDDEBACK", "G6.1")),
        ("BUSHNELL", "        ", ("BUSHNELL", "")),
        ("RECONYX", "HYPERFIRE 2 COVERT\0", ("RECONYX", "HYPERFIRE 2 COVERT")),
        ("Bushnell\x07\n", "A\x1b[31m", ("Bushnell", "A [31m")),
    ],
)
def test_make_and_model(make: str, model: str, right: tuple[str, str]) -> None:
    found = facts(jpeg({0x010F: make, 0x0110: model}))
    assert (found.make, found.model_of_camera) == right


def test_a_hyperfire_note_is_read_in_either_order_of_bytes() -> None:
    note = bytearray(hyperfire(MOMENT))
    assert facts(jpeg(exif={0x927C: bytes(note)})) == PhotoFacts(
        time=MOMENT,
        time_source="makernote",
        make="RECONYX",
        serial="H500DE01120343",
        temperature=-5.0,
        trigger="motion",
        camera_label="STATION 7",
        event_number=7,
        sequence=4,
        sequence_length=5,
    )
    struct.pack_into(">6H", note, 0x16, 0, 43, 20, 4, 11, 2021)
    found = read_reconyx_note(bytes(note))
    assert found is not None
    assert found.time == MOMENT.replace(second=0)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF", "JPEG"])
def test_exif_is_found_in_every_format(format: str, tmp_path: Path) -> None:
    data = taken(MOMENT) if format == "JPEG" else jpeg(exif={ORIGINAL: "2021:04:11 20:43:09"}, format=format)
    (tmp_path / "photo").write_bytes(data)
    assert read_photo_facts(tmp_path / "photo", "photo", RULES).time == MOMENT


def test_a_file_that_cannot_be_read_has_the_facts_of_its_name(tmp_path: Path) -> None:
    gone = read_photo_facts(tmp_path / "gone.jpg", "016719001060737-28-4-01062026143715-SYFW00012.jpg", RULES)
    assert gone == PhotoFacts(time=datetime(2026, 1, 6, 14, 37, 15), time_source="name")


def test_facts_survive_the_journal() -> None:
    for found in (PhotoFacts(), facts(jpeg(exif={0x927C: hyperfire(MOMENT)})), facts(taken(MOMENT, x9291="123"))):
        assert PhotoFacts.from_record(found.to_record()) == found


def test_a_shift_corrects_the_time_and_keeps_the_cameras() -> None:
    found = facts(taken(MOMENT)).shifted(timedelta(hours=1), RULES)
    assert (found.time, found.camera_time, found.time_source) == (
        datetime(2021, 4, 11, 21, 43, 9),
        "2021-04-11T20:43:09",
        "exif",
    )
    assert facts(taken(MOMENT)).shifted(timedelta(0), RULES) == facts(taken(MOMENT))


def test_a_shift_rescues_a_clock_that_began_anew_and_cannot_make_a_time_impossible() -> None:
    lost = facts(jpeg(exif={ORIGINAL: "1980:01:01 00:10:00"}))
    found = lost.shifted(timedelta(days=15_000), RULES)
    assert (found.time, found.time_source, found.camera_time) == (
        datetime(1980, 1, 1, 0, 10) + timedelta(days=15_000),
        "exif",
        "1980-01-01T00:10:00",
    )
    future = facts(taken(MOMENT)).shifted(timedelta(days=9000), RULES)
    assert (future.time, future.time_source, future.camera_time) == (None, "bad", "2021-04-11T20:43:09")
    assert future.shifted(timedelta(days=-1), RULES).time == MOMENT - timedelta(days=1)


def test_a_name_stands_in_for_a_time_that_cannot_be_and_for_no_other() -> None:
    name = "IMG_20251112_100312.jpg"
    lost = facts(jpeg(exif={ORIGINAL: "1980:01:01 00:10:00"}))
    found = lost.dated_by_name(name, NAMES)
    assert (found.time, found.time_source, found.camera_time) == (datetime(2025, 11, 12, 10, 3, 12), "name", "")
    assert lost.dated_by_name(name, RULES) == lost
    assert lost.dated_by_name("IMG_20251112.jpg", NAMES) == lost, "a day is less than what the camera said"
    assert facts(taken(MOMENT)).dated_by_name(name, NAMES) == facts(taken(MOMENT))


def test_a_videos_time() -> None:
    assert video_facts("a.mp4", RULES, creation_time="2021-04-11T20:43:09").time == MOMENT
    assert video_facts("a.mp4", RULES, creation_time="1904-01-01T00:00:00.000000Z").time_source == ""
    assert video_facts("a.mp4", RULES).kind == "video"


TAGS = (0x010F, 0x0110, 0x0132)
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
STARTS = [b"", b"\xff\xd8\xff\xe1\x01\x00Exif\0\0II*\0", b"MM\0*", b"RIFF\0\0\0\0WEBP", b"\x89PNG\r\n\x1a\n"]


@given(
    texts=st.dictionaries(st.sampled_from(TAGS), WORDS, min_size=1),
    original=WORDS,
    degrees=st.tuples(*[st.integers(0, 90).map(float)] * 3),
)
def test_tags_are_those_that_pillow_reads(texts: dict[int, str], original: str, degrees: tuple[float, ...]) -> None:
    data = jpeg(texts, exif={ORIGINAL: original}, gps={1: "N", 2: degrees, 3: "E", 4: degrees})
    exif = read_exif(data)
    assert {tag: exif.text(tag) for tag in TAGS if tag in texts} == texts
    assert exif.text(ORIGINAL) == original
    assert exif.gps_numbers(2) == degrees


@pytest.mark.parametrize("seed", range(6))
def test_mutated_photos_never_raise(seed: int) -> None:
    whole = jpeg(
        {0x010F: "RECONYX"},
        exif={ORIGINAL: "2021:04:11 20:43:09", 0x927C: hyperfire(MOMENT)},
        gps={1: "N", 2: (1.0, 2.0, 3.0)},
    )
    chance = random.Random(seed)
    for _ in range(150):
        data = bytearray(whole[: chance.randrange(len(whole) + 1)])
        for _ in range(chance.randrange(12)):
            if data:
                data[chance.randrange(len(data))] = chance.choice((0, 0xFF, chance.randrange(256)))
        photo_facts(bytes(data), "x.jpg", NAMES)


@given(st.binary(max_size=400), st.sampled_from(STARTS))
def test_no_bytes_make_the_reader_raise(data: bytes, start: bytes) -> None:
    assert isinstance(photo_facts(start + data, "x.jpg", RULES), PhotoFacts)


@given(st.binary(max_size=300), st.sampled_from([b"\x01\xf1", b"RECONYXUF\0", b"RECONYXH2\0"]))
def test_no_note_makes_the_reader_raise(note: bytes, start: bytes) -> None:
    read_reconyx_note(start + note)


def test_tags_that_all_name_the_same_megabyte_take_no_memory() -> None:
    entries = b"".join(struct.pack("<HHII", tag, 7, 60_000, 200) for tag in range(1, 5400))
    block = b"II*\0" + struct.pack("<IH", 8, 5399) + entries
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(block) + 70_000) + b"eXIf" + block + bytes(70_000)
    tracemalloc.start()
    read_exif(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_directory_that_names_itself_ends() -> None:
    block = (
        b"II*\0"
        + struct.pack("<IH", 8, 2)
        + struct.pack("<HHII", 0x8769, 4, 1, 8)
        + struct.pack("<HHII", 0x8825, 4, 1, 8)
    )
    data = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block
    assert isinstance(read_exif(data), ExifBlock)


@pytest.mark.photos
def test_real_photos_tell_what_the_list_of_truths_says(photos_dir: Path) -> None:
    with (photos_dir / "field" / "truth.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "photo" and row["local_time"]]
    assert len(rows) > 40
    for row in rows:
        found = read_photo_facts(photos_dir / "field" / row["file"], row["file"], NAMES)
        assert (row["file"], found.time) == (row["file"], datetime.fromisoformat(row["local_time"]))


@pytest.mark.photos
@pytest.mark.parametrize("rounds", [200, pytest.param(20_000, marks=pytest.mark.nightly)])
def test_real_photos_cut_short_and_mutated_never_raise(rounds: int, photos_dir: Path) -> None:
    chance = random.Random(17)
    for path in sorted((photos_dir / "field_cases" / "03-time-only-in-the-makernote").glob("*.jpg")):
        head = path.read_bytes()[:12_000]
        for _ in range(rounds):
            data = bytearray(head[: chance.randrange(1, len(head))])
            for _ in range(chance.randrange(30)):
                data[chance.randrange(min(len(data), 3000))] = chance.randrange(256)
            photo_facts(bytes(data), path.name, RULES)


@pytest.mark.photos
def test_pillow_reads_the_same_tags_of_real_photos(photos_dir: Path) -> None:
    for path in sorted((photos_dir / "field" / "photos").rglob("*.[jJ][pP]*[gG]")):
        if path.stat().st_size == 0 or path.name.startswith("._"):
            continue
        ours = read_exif(path.read_bytes())
        with Image.open(path) as image:
            exif = image.getexif()
            inner = exif.get_ifd(IFD.Exif)
        for tag in (0x010F, 0x0110, 0x0132, ORIGINAL, DIGITIZED):
            theirs = str(inner.get(tag, exif.get(tag, "")) or "").split("\0")[0].strip()
            assert (path.name, tag, ours.text(tag)) == (path.name, tag, theirs)

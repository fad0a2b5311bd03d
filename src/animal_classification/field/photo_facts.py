"""What a file says about itself: when it was taken, by which camera, where, and why the camera did."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import TypeAdapter

from animal_classification.errors import ImageError
from animal_classification.field import exif_block
from animal_classification.field.camera_clock import (
    TimeRules,
    hours_offset,
    parse_offset,
    parse_time,
    time_text,
    with_subseconds,
)
from animal_classification.field.exif_block import ExifBlock, read_exif
from animal_classification.field.file_name_time import time_in_name
from animal_classification.field.gps_position import Position, gps_position
from animal_classification.field.reconyx_note import ReconyxNote, read_reconyx_note
from animal_classification.field.video_header import video_creation_time
from animal_classification.imaging.bounded_read import parts_of, read_head

Kind = Literal["photo", "video"]
TimeSource = Literal["", "exif", "makernote", "container", "name", "date_only", "bad"]

# A JPEG's EXIF begins within its first bytes and has at most 65,535.
HEAD_BYTES = 72 << 10
_MOST = 32 << 20
# Makers that cameras were seen to write into the place of the model.
_MAKERS = frozenset({"bolymedia", "browning", "bushnell", "cuddeback", "moultrie", "reconyx", "scoutguard", "spypoint"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFacts:
    """One file's facts; what it does not say is None or empty.

    Attributes:
        kind: ``photo`` or ``video``.
        time: By the camera's clock, corrected where a shift was given; naive.
        time_source: Where the time is from; ``bad`` where the camera's cannot be, ``date_only`` where a name has a day
            and no time.
        offset: From UTC, ``+hh:mm``, where the file has one.
        camera_time: What the camera or the name said, if that was shifted, cannot be or is only a day.
        make: Of the camera.
        model_of_camera: The camera's model; the tables have other models.
        serial: The camera's serial number.
        temperature: At the camera, °C.
        latitude: Degrees.
        longitude: Degrees.
        trigger: ``motion``, ``time_lapse`` … (Reconyx).
        camera_label: What the owner calls the camera.
        event_number: The camera's own count of triggers.
        sequence: Number of the photo in the trigger's sequence, from 1.
        sequence_length: How many the sequence has.
        bad_source: Where a bad time is from, for the case that a shift puts it right.
    """

    kind: Kind = "photo"
    time: datetime | None = None
    time_source: TimeSource = ""
    offset: str = ""
    camera_time: str = ""
    make: str = ""
    model_of_camera: str = ""
    serial: str = ""
    temperature: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    trigger: str = ""
    camera_label: str = ""
    event_number: int | None = None
    sequence: int | None = None
    sequence_length: int | None = None
    bad_source: TimeSource = ""

    @property
    def position(self) -> Position | None:
        """Latitude and longitude, if there are both."""
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)

    def dated_by_name(self, name: str, rules: TimeRules) -> PhotoFacts:
        """The same with the time in a file's name, if the file has none of its own."""
        named = None if self.time is not None else time_in_name(name, any_form=rules.from_names)
        if named is None:
            return self
        if named.time is not None and rules.admits(named.time):
            return self._with_time(named.time, "name", said="")
        if named.day and not self.time_source:
            return self._with_time(None, "date_only", said=named.day)
        return self

    def without_position(self) -> PhotoFacts:
        """The same without a place: see ``gps_position.shared_positions``."""
        return replace(self, latitude=None, longitude=None)

    def shifted(self, shift: timedelta, rules: TimeRules) -> PhotoFacts:
        """The same with the clock put right; the camera's own time is kept in ``camera_time``.

        A time that could not be is looked at again after the shift: a camera that began at 1970 can be put right.
        """
        camera = parse_time(self.camera_time) if self.time_source == "bad" else self.time
        if not shift or camera is None:
            return self
        try:
            moment = camera + shift
        except OverflowError:
            return self
        if not rules.admits(moment):
            return self._with_time(None, "bad", bad_source=self.bad_source or self.time_source, said=time_text(camera))
        return self._with_time(moment, self.bad_source or self.time_source, said=time_text(camera))

    def _with_time(
        self, moment: datetime | None, source: TimeSource, *, said: str, bad_source: TimeSource = ""
    ) -> PhotoFacts:
        return replace(self, time=moment, time_source=source, camera_time=said, bad_source=bad_source)

    def to_record(self) -> dict[str, Any]:
        """All that is not empty, for a line of JSON; ``from_record`` reads it back without loss."""
        record = {name: value for name, value in asdict(self).items() if value not in (None, "")}
        return {**record, "time": time_text(self.time)} if self.time else record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> PhotoFacts:
        """What ``to_record`` wrote.

        Raises:
            ValueError: It is something else.
        """
        time = record.get("time")
        return _FACTS.validate_python({**record, "time": datetime.fromisoformat(time) if time else None})


_FACTS = TypeAdapter(PhotoFacts)


def read_photo_facts(path: str | os.PathLike[str], name: str, rules: TimeRules) -> PhotoFacts:
    """The facts of a photo on disk, from as little of it as will do; one that cannot be read has those of its name.

    Args:
        path: Where it is.
        name: What the table calls it, with forward slashes.
        rules: Which times count.
    """
    try:
        data, size = read_head(path, HEAD_BYTES)
        if size > len(data) and not data.startswith(b"\xff\xd8"):  # other formats keep EXIF behind the pixels
            data, _ = read_head(path, _MOST)
    except ImageError:
        data = b""
    return photo_facts(data, name, rules)


def read_video_facts(path: str | os.PathLike[str], name: str, rules: TimeRules) -> PhotoFacts:
    """The facts of a video on disk, from its container's header; no frame is decoded, and nothing is raised.

    Args:
        path: Where it is.
        name: What the table calls it, with forward slashes.
        rules: Which times count.
    """
    try:
        with parts_of(path) as read:
            creation_time = video_creation_time(read)
    except ImageError:
        creation_time = ""
    return video_facts(name, rules, creation_time=creation_time)


def photo_facts(data: bytes, name: str, rules: TimeRules) -> PhotoFacts:
    """The facts of a photo in memory; never raises, whatever the bytes are.

    Args:
        data: The file, or as much of its beginning as holds its EXIF.
        name: What the table calls it, with forward slashes.
        rules: Which times count.
    """
    exif = read_exif(data)
    note = read_reconyx_note(exif.raw(exif_block.MAKER_NOTE))
    make, model = _camera(exif, note)
    position = gps_position(exif) or (None, None)
    facts = PhotoFacts(
        offset=parse_offset(exif.text(exif_block.OFFSET_TIME_ORIGINAL))
        or hours_offset(exif.integer(exif_block.TIME_ZONE_OFFSET)),
        make=make,
        model_of_camera=model,
        serial=exif.text(exif_block.BODY_SERIAL_NUMBER),
        temperature=_temperature(exif),
        latitude=position[0],
        longitude=position[1],
    )
    if note is not None:
        facts = replace(
            facts,
            serial=note.serial or facts.serial,
            temperature=note.temperature,
            trigger=note.trigger,
            camera_label=note.label,
            event_number=note.event_number,
            sequence=note.sequence,
            sequence_length=note.sequence_length,
        )
    return _dated(facts, _camera_times(exif, note), name, rules)


def video_facts(name: str, rules: TimeRules, *, creation_time: str = "", offset: str = "") -> PhotoFacts:
    """The facts of a video.

    Args:
        name: What the table calls it, with forward slashes.
        rules: Which times count.
        creation_time: As its container has it; empty for none.
        offset: ``+hh:mm``, where the container has one beside it.
    """
    moment = parse_time(creation_time)
    if moment is not None and moment.year == 1904:  # QuickTime's zero
        creation_time = ""
    facts = PhotoFacts(kind="video", offset=parse_offset(offset) or ("+00:00" if rules.utc_containers else ""))
    dated = _dated(facts, iter([("container", creation_time)]), name, rules)
    return dated if dated.time_source == "container" else replace(dated, offset="")


def _camera_times(exif: ExifBlock, note: ReconyxNote | None) -> Iterator[tuple[TimeSource, str]]:
    """What may be the time, as text, the most trusted first."""
    original = exif.text(exif_block.DATE_TIME_ORIGINAL)
    moment = parse_time(original)
    if moment is not None:
        original = time_text(with_subseconds(moment, exif.text(exif_block.SUBSECOND_ORIGINAL)))
    digitized = exif.text(exif_block.DATE_TIME_DIGITIZED)
    yield "exif", original
    yield "exif", digitized
    yield "makernote", time_text(note.time) if note else ""
    if moment is None and parse_time(digitized) is None:
        yield "exif", exif.text(exif_block.DATE_TIME)  # of the last change: no help against a clock that was wrong


def _dated(facts: PhotoFacts, times: Iterator[tuple[TimeSource, str]], name: str, rules: TimeRules) -> PhotoFacts:
    """Put the first time that can be into the facts; else the name's; else say what was wrong."""
    bad: tuple[TimeSource, str] | None = None
    for source, text in times:
        moment = parse_time(text)
        if moment is not None and rules.admits(moment):
            return replace(facts, time=moment, time_source=source)
        if not _is_blank(text):
            bad = bad or (source, text if moment is None else time_text(moment))
    if bad is not None:
        facts = replace(facts, time_source="bad", camera_time=bad[1], bad_source=bad[0])
    return facts.dated_by_name(name, rules)


def _is_blank(text: str) -> bool:
    """Whether a field was left empty; EXIF's way to say that a time is unknown is colons between blanks."""
    return not text.replace(":", "").strip()


def _camera(exif: ExifBlock, note: ReconyxNote | None) -> tuple[str, str]:
    """Make and model; Cuddeback writes them the wrong way round, and old Reconyx not at all."""
    make, model = exif.text(exif_block.MAKE), exif.text(exif_block.MODEL)
    if model.casefold() in _MAKERS and make.casefold() not in _MAKERS:
        make, model = model, make
    return make or ("RECONYX" if note else ""), model


def _temperature(exif: ExifBlock) -> float | None:
    degrees = exif.number(exif_block.AMBIENT_TEMPERATURE)
    return round(degrees, 1) if degrees is not None and -90 <= degrees <= 90 else None

"""A photo that is fetched, and no file on this machine, says of its time what its bytes say."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from animal_classification.data.discovery import FoundPhoto
from animal_classification.errors import ImageError
from animal_classification.field.camera_clock import TimeRules
from animal_classification.predict.photo_inference import PhotoItem


def photo() -> bytes:
    exif = Image.Exif()
    exif[0x0132] = "2021:05:29 03:51:33"
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_the_time_of_a_fetched_photo_is_that_of_its_bytes() -> None:
    found = FoundPhoto("cam/a.jpg", "gs://zoo/cam/a.jpg", fetch=photo)
    item = PhotoItem.of(found, TimeRules())
    ready = item.ready()
    assert ready.source == photo()
    assert item.facts["time"] == "2021-05-29T03:51:33", "the item that the stream gives back knows it, too"


def test_one_that_cannot_be_fetched_has_the_facts_of_its_name() -> None:
    def gone() -> bytes:
        raise ImageError("it is not there any more")

    item = PhotoItem.of(FoundPhoto("cam/a.jpg", "gs://zoo/cam/a.jpg", fetch=gone), TimeRules())
    with pytest.raises(ImageError, match="not there any more"):
        item.ready()
    assert item.facts["kind"] == "photo"
    assert not item.facts.get("time")

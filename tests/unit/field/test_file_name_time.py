"""Times in names: those that always count, those on request, and what only looks like one."""

from __future__ import annotations

from datetime import datetime

import pytest

from animal_classification.field.file_name_time import NameTime, time_in_name


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("016719001060737-28-4-01062026143715-SYFW00012.jpg", datetime(2026, 1, 6, 14, 37, 15)),
        ("card/016719001004974-47-3-08142026144020-SYFW00787.jpg", datetime(2026, 8, 14, 14, 40, 20)),
        ("cam1_addaxai-20260106-143715.jpg", datetime(2026, 1, 6, 14, 37, 15)),
    ],
)
def test_known_forms_count_always(name: str, moment: datetime) -> None:
    assert time_in_name(name) == NameTime(moment)


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("AABP 13_20051007_1205.jpg", datetime(2005, 10, 7, 12, 5)),
        ("20251112_100312.jpg", datetime(2025, 11, 12, 10, 3, 12)),
        ("IMG-20251112-100312(1).jpg", datetime(2025, 11, 12, 10, 3, 12)),
        ("StationA__2009-04-21__00-40-00(1).JPG", datetime(2009, 4, 21, 0, 40)),
        ("2025-11-12 10.03.12.jpg", datetime(2025, 11, 12, 10, 3, 12)),
        ("IMG_20251112_100312_001.jpg", datetime(2025, 11, 12, 10, 3, 12)),
    ],
)
def test_other_forms_count_on_request(name: str, moment: datetime) -> None:
    assert time_in_name(name) is None
    assert time_in_name(name, any_form=True) == NameTime(moment)


def test_a_day_alone_is_said_and_is_no_time() -> None:
    assert time_in_name("IMG_20230101_A.jpg", any_form=True) == NameTime(day="2023-01-01")


@pytest.mark.parametrize(
    "name",
    [
        "IMG_0001.JPG",
        "20251399_100312.jpg",
        "20251112_256199.jpg",
        "DSCF20251.jpg",
        "016719001060737-28-4-13402026143715-SYFW00012.jpg",
        "20210531082538-RCNX0031.JPG",
        "20251112_100312/IMG_0001.JPG",
        "1234567890.jpg",
    ],
)
def test_what_only_looks_like_a_time(name: str) -> None:
    found = time_in_name(name, any_form=True)
    assert found is None or found.time is None

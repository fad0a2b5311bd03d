from __future__ import annotations

import pytest

from animal_classification.evaluation.confidence_intervals import wilson
from animal_classification.evaluation.result import Interval
from animal_classification.report import numbers


def test_numbers_are_written_as_a_report_shows_them() -> None:
    assert numbers.count(1046) == "1,046"
    assert numbers.percent(0.95984) == "96.0%"
    assert numbers.points(-0.0231, signed=True) == "-2.3"
    assert numbers.significant(0.00312) == "0.0031"
    assert numbers.photos(1) == "1 photo"
    assert numbers.percent_range(Interval(value=0.5, low=0.25, high=0.755)) == "25.0% to 75.5%"
    assert numbers.listed(["a"], last=" and ") == "a"
    assert numbers.listed(["a", "b", "c"], last=" and ") == "a, b and c"


def test_wilsons_interval() -> None:
    # Newcombe 1998, table I: 81 of 263, and 0 of 20.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)

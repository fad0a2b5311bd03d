from __future__ import annotations

import pytest

from animal_classification.evaluation.confidence_intervals import wilson
from animal_classification.report.check import agrees
from animal_classification.report.numbers import Ledger, listed, say
from animal_classification.report.svg import Svg, shortened


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("96.0%", True),
        ("95.99%", True),  # more digits than are shown, and right
        ("96.1%", False),
        ("95.9%", False),
        ("96%", False),  # fewer digits say less
        ("96.0", False),
        ("", False),
        ("many", False),
        ("٩٦.٠%", False),
    ],
)
def test_a_number_is_true_as_exactly_as_it_is_written(text: str, true: bool) -> None:
    assert agrees(text, Ledger().percent("accuracy", 0.9599)) is (text in {"96.0%", "95.99%"}) is true


def test_counts_have_no_room() -> None:
    shown = Ledger().count("photos", 1046)
    assert shown.text == "1,046"
    assert agrees("1,046", shown)
    assert agrees("1046", shown)
    assert not agrees("1,047", shown)
    assert not agrees("1,045", shown)


def test_a_number_between_two_may_be_rounded_either_way() -> None:
    shown = Ledger().percent("share", 0.0625)
    assert agrees("6.2%", shown)
    assert agrees("6.3%", shown)
    assert not agrees("6.4%", shown)


def test_one_key_is_one_number() -> None:
    numbers = Ledger()
    numbers.percent("a", 0.5)
    numbers.percent("a", 0.5, 0)
    with pytest.raises(ValueError, match="two numbers are called 'a'"):
        numbers.percent("a", 0.6)


def test_sentences_escape_what_comes_from_outside_and_keep_numbers_apart() -> None:
    numbers = Ledger()
    sentence = say("{} of {}", "<b>", listed([say("{}", numbers.count("x", 1)), say("y")], last=" and "))
    assert str(sentence) == "<b> of 1 and y"
    assert sentence.__html__() == '&lt;b&gt; of <span data-claim="x">1</span> and y'
    with pytest.raises(ValueError, match="1 values for 2 places"):
        say("{} {}", 1)


def test_drawings_escape_as_well() -> None:
    drawing = Svg(10, 10, '"<x>"')
    drawing.text(1, 2.5, "<script>", title="a&b", stroke_width=1)
    drawing.add("rect", x=1.236, title="</svg>")
    text = drawing.__html__()
    assert "<script>" not in text
    assert text.count("</svg>") == 1
    assert 'x="1.24"' in text
    assert 'stroke-width="1"' in text
    assert shortened("hippopotamus", 6) == "hippo…"


def test_wilsons_interval() -> None:
    # Newcombe 1998, table I: 81 of 263, and 0 of 20.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)

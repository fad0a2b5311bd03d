from __future__ import annotations

import pytest

from animal_classification.report.differences import differences_in_card, differences_in_json, differences_in_page
from animal_classification.report.pictures import NO_PICTURE

PAGE = f"""<body><h1>Good</h1>
<section><h2>Classes &amp; more</h2>
<table><tr><td>cat</td><td>96.0%</td></tr>
</table></section>
<img src="{NO_PICTURE}" alt="a">
</body>"""


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("96.0%", "96.1%", "Classes & more: the page says 'cat 96.1%', measured 'cat 96.0%'"),
        ("<h1>Good", "<h1>Best", "top of the page: the page says 'Best', measured 'Good'"),
        ("</body>", "<p>100%</p></body>", "Classes & more: the page says '100%', measured nothing"),
        (
            "<td>cat</td>",
            '<td class="x">cat</td>',
            "Classes & more: the page is built otherwise near 'cat 96.0%': "
            """'<table><tr><td class="x">cat</td><td>96.0%</td></tr>' in place of """
            "'<table><tr><td>cat</td><td>96.0%</td></tr>'",
        ),
        ("</section>\n", "</section>\n<!-- x -->\n", "Classes & more: the page is built otherwise near nothing: "
         "'<!-- x -->' in place of nothing"),
    ],
)  # fmt: skip
def test_each_difference_of_a_page_is_a_line_under_its_heading(old: str, new: str, line: str) -> None:
    assert differences_in_page(PAGE, PAGE) == []
    assert differences_in_page(PAGE.replace(old, new), PAGE) == [line]


def test_ends_of_lines_are_no_difference() -> None:
    assert differences_in_page(PAGE, PAGE.replace("\n", "\r\n")) == []


def test_numbers_in_json_have_five_digits_and_p_values_as_many_however_small() -> None:
    measured = {"n": 1046, "accuracy": 0.9598, "tests": [{"p_value": 3e-9}], "label": "cat"}
    for claimed in ({"accuracy": 0.959803}, {}):
        assert list(differences_in_json({**measured, **claimed}, measured)) == []
    assert list(
        differences_in_json({"n": 1047, "accuracy": 0.9599, "tests": [{"p_value": 4e-9}], "more": 1}, measured)
    ) == [
        "n: it says '1047', measured '1046'",
        "accuracy: it says '0.9599', measured '0.9598'",
        "tests.0.p_value: it says '4e-09', measured '3e-09'",
        "label: it says nothing, measured 'cat'",
        "more: it says '1', measured nothing",
    ]


def test_lines_of_a_card_are_matched_by_their_words() -> None:
    card = "# cat\n\nOn 20 photos:\n\n| accuracy | 96.0% |\n"
    assert differences_in_card(card, card) == []
    assert differences_in_card(card.replace("96.0", "97.0"), card) == [
        "line 5: the card says '| accuracy | 97.0% |', measured '| accuracy | 96.0% |'"
    ]
    assert differences_in_card(card.replace("On 20 photos:", "On photos:"), card) == [
        "line 3: the card says 'On photos:', measured 'On 20 photos:'"
    ]
    assert differences_in_card(f"{card}\nSome words.\n\n## History\n\nRight in 99%.\n", card) == []

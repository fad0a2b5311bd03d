"""The model card as the Model page shows it: HTML of ours alone, whatever the card holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from animal_classification.serving.middleware.api_keys import new_key, write_keys
from animal_classification.serving.ui.model_card import as_html
from tests.unit.serving.conftest import assert_problem

# All that the renderer may write. A card's own tags and attributes would be others.
TAGS = re.compile(
    r"</?(h[1-6]|p|ul|ol|li|strong|em|code|pre|table|thead|tbody|tr|td|blockquote)>"
    r'|<ol start="[0-9]+">|<(hr|br) />|<th scope="col">|</th>'
)
CARD = """\
---
license: apache-2.0
---

# tiny

Tells **colours** apart, *quickly*; see [the docs](https://example.org) and ![a plot](plot.png).

- one: `code`
- two,
  over two lines

| | |
|---|---:|
| a \\| b | 0.9 |

| class | recall |
|---|---|
| lion | 0.8 |

    animals predict PHOTOS --model "tiny"
"""


def test_a_card() -> None:
    assert as_html(CARD).split("\n") == [
        "<h2>tiny</h2>",
        "<p>Tells <strong>colours</strong> apart, <em>quickly</em>; see the docs and a plot.</p>",
        "<ul>",
        "<li>one: <code>code</code></li>",
        "<li>two,",
        "over two lines</li>",
        "</ul>",
        "<table>",
        "<tbody>",
        "<tr>",
        "<td>a | b</td>",
        "<td>0.9</td>",
        "</tr>",
        "</tbody>",
        "</table>",
        "<table>",
        "<thead>",
        "<tr>",
        '<th scope="col">class</th>',
        '<th scope="col">recall</th>',
        "</tr>",
        "</thead>",
        "<tbody>",
        "<tr>",
        "<td>lion</td>",
        "<td>0.8</td>",
        "</tr>",
        "</tbody>",
        "</table>",
        '<pre>animals predict PHOTOS --model "tiny"</pre>',
        "",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "[click](javascript:alert(1))",
        "![<b>](x.png)",
        "<https://example.org>",
        "`<script>`",
        "    <script>\n",
        '```"><script>\n<script>\n```',
        "| <b>a</b> |\n|:-:|\n| <b>c</b> |",
        "3. three\n5. <b>five",
        "[a]: https://example.org '<b>'\n\n[a]",
    ],
)
def test_no_html_of_a_card_becomes_html(text: str) -> None:
    assert_ours(as_html(text))


MARKUP = st.sampled_from(
    ["<", ">", "&", '"', "`", "[", "](", ")", "!", "*", "|", "\n", "    ", "#", "- ", "---\n", "\\", "a", "1. "]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(MARKUP, max_size=40).map("".join))
def test_no_markup_becomes_foreign_html(text: str) -> None:
    assert_ours(as_html(text))


def assert_ours(html: str) -> None:
    assert "<" not in TAGS.sub("", html), html


def test_the_route(client: TestClient) -> None:
    response = client.get("/tabs/cards/tiny")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "Tells colours apart." in response.text
    assert_problem(client.get("/tabs/cards/lions"), 404, "no-such-model")
    assert "/tabs/cards/{name}" not in client.get("/openapi.json").json()["paths"]


def test_it_needs_a_key_as_the_card_does(client_with: Callable[..., TestClient], tmp_path: Path) -> None:
    feedback_only, key = new_key("reviewer", ("feedback",))
    write_keys(tmp_path / "keys.json", [key])
    client = client_with(keys_file=str(tmp_path / "keys.json"))
    assert_problem(client.get("/tabs/cards/tiny"), 401, "no-key")
    assert_problem(client.get("/tabs/cards/tiny", headers={"X-API-Key": feedback_only}), 403, "no-scope")

from __future__ import annotations

from animal_classification.report.svg import Svg, shortened


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

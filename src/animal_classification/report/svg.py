"""SVG as text, with everything that comes from outside escaped, and the small plots that stand in table cells."""

from __future__ import annotations

from html import escape

from animal_classification.evaluation.result import Interval

Attribute = str | float


class Svg:
    """A drawing that is put together element by element.

    >>> drawing = Svg(10, 10, "a square")
    >>> drawing.add("rect", width=10, height=10)
    """

    def __init__(self, width: float, height: float, says: str, *, stretched: bool = False, kind: str = "") -> None:
        more = ' preserveAspectRatio="none"' if stretched else ""
        named = f' class="{escape(kind)}"' if kind else ""
        size = f"0 0 {_number(width)} {_number(height)}"
        self._parts = [f'<svg{named} viewBox="{size}" role="img" aria-label="{escape(says)}"{more}>']

    def add(self, tag: str, *, title: str = "", **attributes: Attribute) -> None:
        """An element without text; ``stroke_width`` becomes ``stroke-width``, ``kind`` the class."""
        opened = f"<{tag}{_attributes(attributes)}"
        self._parts.append(f"{opened}><title>{escape(title)}</title></{tag}>" if title else f"{opened}/>")

    def text(self, x: float, y: float, content: str, *, title: str = "", **attributes: Attribute) -> None:
        """Words at a place."""
        more = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(f"<text{_attributes({'x': x, 'y': y, **attributes})}>{escape(content)}{more}</text>")

    def __html__(self) -> str:
        return "".join([*self._parts, "</svg>"])


def share_bar(share: float, says: str, *, interval: Interval | None = None) -> Svg:
    """A bar from 0 to 100%, with its interval as a thin line."""
    drawing = Svg(100, 12, says, stretched=True, kind="line-plot")
    drawing.add("rect", x=0, y=1, width=100, height=10, kind="empty")
    drawing.add("rect", x=0, y=1, width=100 * share, height=10, kind="filled")
    if interval is not None:
        drawing.add(
            "rect", x=100 * interval.low, y=5, width=100 * (interval.high - interval.low), height=2, kind="spread"
        )
    return drawing


def interval_mark(number: Interval, overall: float, lowest: float, says: str) -> Svg:
    """An interval between ``lowest`` and 100%, and where the whole stands."""
    scale = 100 / (1 - lowest or 1.0)

    def across(share: float) -> float:
        return (share - lowest) * scale

    drawing = Svg(100, 12, says, stretched=True, kind="line-plot")
    drawing.add("rect", x=0, y=1, width=100, height=10, kind="empty")
    width = max(across(number.high) - across(number.low), 0.6)
    drawing.add("rect", x=min(across(number.low), 99.4), y=4, width=width, height=4, kind="range")
    drawing.add("rect", x=min(max(across(number.value) - 0.6, 0.0), 98.8), y=1, width=1.2, height=10, kind="mark")
    drawing.add("rect", x=min(across(overall), 99.5), y=0, width=0.5, height=12, kind="whole")
    return drawing


def shortened(name: str, most: int) -> str:
    """A name of at most ``most`` characters."""
    return name if len(name) <= most else f"{name[: most - 1].rstrip()}…"


def _attributes(values: dict[str, Attribute]) -> str:
    return "".join(
        f' {"class" if name == "kind" else name.replace("_", "-")}="{escape(_value(value))}"'
        for name, value in values.items()
    )


def _value(value: Attribute) -> str:
    return value if isinstance(value, str) else _number(value)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"

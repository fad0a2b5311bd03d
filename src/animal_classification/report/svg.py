"""SVG as text, with everything that comes from outside escaped."""

from __future__ import annotations

from html import escape

from animal_classification.report.numbers import Shown

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

    def text(self, x: float, y: float, content: str | Shown, *, title: str = "", **attributes: Attribute) -> None:
        """Words or a number at a place."""
        more = f"<title>{escape(title)}</title>" if title else ""
        if isinstance(content, Shown):
            inner = f'<tspan data-claim="{escape(content.key)}">{escape(content.text)}</tspan>'
        else:
            inner = escape(content)
        self._parts.append(f"<text{_attributes({'x': x, 'y': y, **attributes})}>{inner}{more}</text>")

    def __html__(self) -> str:
        return "".join([*self._parts, "</svg>"])


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

"""Pictures of a run, as SVG written by hand: latency histograms, and throughput over concurrency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 300, 60, 50, 40
INK, BAR, LINE = "#222", "#3b7dd8", "#c2541b"


def write(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write a histogram for each load, and a sweep where there are several closed loops; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for row in report["rows"]:
        name = row["title"].replace(" ", "-").replace(".", "_")
        path = folder / f"latency-{name}.svg"
        path.write_text(histogram(row), encoding="utf-8")
        written.append(path)
    closed = [row for row in report["rows"] if "concurrency" in row]
    if len(closed) > 1:
        path = folder / "sweep.svg"
        path.write_text(sweep(closed), encoding="utf-8")
        written.append(path)
    return written


def histogram(row: Mapping[str, Any]) -> str:
    """How many answers took how long."""
    counts: Mapping[str, int] = row["histogram_ms"]
    largest = max([*counts.values(), 1])
    step = (WIDTH - LEFT - 10) / len(counts)
    parts = []
    for number, (name, count) in enumerate(counts.items()):
        tall = _up(count, largest)
        x = LEFT + number * step
        bar = f'<rect x="{x + 2:.1f}" y="{HEIGHT - BOTTOM - tall:.1f}" width="{step - 4:.1f}" height="{tall:.1f}" '
        parts.append(f'{bar}fill="{BAR}"><title>{escape(name)} ms: {count}</title></rect>')
        parts.append(_text(x + step / 2, HEIGHT - BOTTOM + 18, name, middle=True))
    return _picture(f"Latency of answers, ms: {row['title']}", largest, "answers", parts)


def sweep(rows: Sequence[Mapping[str, Any]]) -> str:
    """Photos a second (bars) and p99 (line) by how many requests there are at once."""
    most = max(row["photos_per_second"] for row in rows) or 1.0
    slowest = max(row["latency_ms"]["p99"] or 0.0 for row in rows) or 1.0
    step = (WIDTH - LEFT - 10) / len(rows)
    parts, points = [], []
    for number, row in enumerate(rows):
        x, tall = LEFT + number * step, _up(row["photos_per_second"], most)
        bar = f'<rect x="{x + step / 4:.1f}" y="{HEIGHT - BOTTOM - tall:.1f}" width="{step / 2:.1f}" '
        parts.append(f'{bar}height="{tall:.1f}" fill="{BAR}"/>')
        parts.append(_text(x + step / 2, HEIGHT - BOTTOM + 18, row["title"], middle=True))
        high = HEIGHT - BOTTOM - _up(row["latency_ms"]["p99"] or 0.0, slowest)
        points.append(f"{x + step / 2:.1f},{high:.1f}")
        parts.append(_text(x + step / 2, high - 6, f"p99 {row['latency_ms']['p99'] or 0:.0f} ms", middle=True))
    parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{LINE}" stroke-width="2"/>')
    return _picture("Photos a second (bars) and p99 (line)", most, "photos/s", parts)


def _up(value: float, largest: float) -> float:
    return (HEIGHT - BOTTOM - TOP - 10) * value / largest


def _picture(title: str, largest: float, unit: str, parts: Sequence[str]) -> str:
    base = HEIGHT - BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-size="11" '
        f'font-family="sans-serif" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 20, title),
        f'<path d="M{LEFT} {TOP}V{base}H{WIDTH - 10}" fill="none" stroke="{INK}"/>',
        _text(6, base - _up(largest, largest) + 4, f"{largest:.0f}"),
        _text(6, base + 4, "0"),
        _text(6, HEIGHT - 8, unit),
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _text(x: float, y: float, words: str, *, middle: bool = False) -> str:
    anchor = ' text-anchor="middle"' if middle else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{anchor}>{escape(words)}</text>'

"""What a card says of an export: what it was made from, and both side by side. All of it stands in ``bundle.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from animal_classification.report.numbers import count, decimal, percent, significant

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo

_MEGA = 1e6


def export_lines(info: BundleInfo) -> list[str]:
    """The section, line by line; nothing where the bundle is no export."""
    facts, request = info.metrics.get("export"), info.config.get("export")
    if not isinstance(facts, Mapping) or not isinstance(request, Mapping):
        return []
    original = facts["of"]
    return [
        "",
        f"## This export: {request['kind']}",
        "",
        f"Made from {original['name']} {original['version']} by `animals export`. Both were measured on "
        f"{count(facts['photos'])} photos of {request['data']} ({request['split']}):",
        "",
        "| | original | export |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in _table(facts)),
        "",
        _loss("told right", "answered_drop_points", "answered_p_value", facts),
        _loss("top-1", "drop_points", "p_value", facts),
        f"The same label for {percent(facts['agreement'], 2)} of the photos, known or unknown alike for "
        f"{percent(facts['same_unknown'], 2)}. Speeds are of one thread on the machine that made it.",
    ]


def _table(facts: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    rows = [
        (words, percent(facts[f"original_{name}"], 2), percent(facts[name], 2))
        for words, name in (("told right", "answered_right"), ("top-1", "accuracy"))
    ]
    if facts["coverage"]:
        before, after = facts["coverage"]
        rows.append(("prediction sets hold the truth", percent(before), percent(after)))
    rows.append(("size (MB)", decimal(facts["original_bytes"] / _MEGA, 2), decimal(facts["bytes"] / _MEGA, 2)))
    for engine, times in facts["ms_per_photo"].items():
        row = f"milliseconds a photo, {engine}", decimal(times["original"], 2), decimal(times["export"], 2)
        rows.append(row)
    return rows


def _loss(words: str, name: str, p_name: str, facts: Mapping[str, Any]) -> str:
    value, low, high = (decimal(facts[name][part], 2) for part in ("value", "low", "high"))
    p_value = significant(facts[p_name])
    return f"Points of {words} lost: {value} (95% interval {low} to {high}; p = {p_value})."

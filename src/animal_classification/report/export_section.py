"""What a card says of an export: what it was made from, and both side by side. All of it stands in ``bundle.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from animal_classification.report.numbers import NOTHING, Ledger, Sentence, say

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo

_MEGA = 1e6


def export_lines(info: BundleInfo, numbers: Ledger) -> list[Sentence]:
    """The section, line by line; nothing where the bundle is no export."""
    facts, asked = info.metrics.get("export"), info.config.get("export")
    if not isinstance(facts, Mapping) or not isinstance(asked, Mapping):
        return []
    original = facts["of"]
    table = _table(facts, numbers)
    return [
        NOTHING,
        say("## This export: {}", asked["kind"]),
        NOTHING,
        say(
            "Made from {} {} by `animals export`. Both were measured on {} photos of {} ({}):",
            original["name"],
            original["version"],
            numbers.count("export.photos", facts["photos"]),
            asked["data"],
            asked["split"],
        ),
        NOTHING,
        say("| | original | export |"),
        say("|---|---|---|"),
        *(say("| {} | {} | {} |", *row) for row in table),
        NOTHING,
        _loss("told right", "answered_drop_points", "answered_p_value", facts, numbers),
        _loss("top-1", "drop_points", "p_value", facts, numbers),
        say(
            "The same label for {} of the photos, known or unknown alike for {}. Speeds are of one thread on the "
            "machine that made it.",
            numbers.percent("export.agreement", facts["agreement"], 2),
            numbers.percent("export.same_unknown", facts["same_unknown"], 2),
        ),
    ]


def _table(facts: Mapping[str, Any], numbers: Ledger) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        (words, *(numbers.percent(f"export.{key}", facts[key], 2) for key in (f"original_{name}", name)))
        for words, name in (("told right", "answered_right"), ("top-1", "accuracy"))
    ]
    if facts["coverage"]:
        before, after = facts["coverage"]
        rows.append(
            (
                "prediction sets hold the truth",
                numbers.percent("export.coverage.0", before),
                numbers.percent("export.coverage.1", after),
            )
        )
    sizes = (numbers.decimal(f"export.{key}", facts[key] / _MEGA, 2) for key in ("original_bytes", "bytes"))
    rows.append(("size (MB)", *sizes))
    for engine, times in facts["ms_per_photo"].items():
        pair = (numbers.decimal(f"export.ms.{engine}.{side}", times[side], 2) for side in ("original", "export"))
        rows.append((f"milliseconds a photo, {engine}", *pair))
    return rows


def _loss(words: str, name: str, p_name: str, facts: Mapping[str, Any], numbers: Ledger) -> Sentence:
    points = facts[name]
    ends = (numbers.decimal(f"export.{name}.{part}", points[part], 2) for part in ("value", "low", "high"))
    p_value = numbers.significant(f"export.{p_name}", facts[p_name])
    return say("Points of " + words + " lost: {} (95% interval {} to {}; p = {}).", *ends, p_value)

"""``report.html`` of a cycle: what changed in the data, the gate's table, photos that changed, the decision and who."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.common.text_files import write_text
from animal_classification.loop.cycle import MEANING
from animal_classification.loop.steps import GATE_FILE
from animal_classification.report.page import template
from animal_classification.report.pictures import NO_PICTURE, thumbnail

if TYPE_CHECKING:
    from animal_classification.loop.cycle import Cycle
    from animal_classification.loop.workplace import Workplace

REPORT = "report.html"
_SIDE = 132


def write_cycle_report(work: Workplace, cycle: Cycle) -> Path:
    """Write the page into the cycle's folder.

    Raises:
        MissingExtraError: Jinja2 is not installed.
        OutputError: The system refuses.
    """
    folder = work.ledger.folder(cycle.name)
    gate = _read(folder / GATE_FILE)
    collected = cycle.decision("collected")
    collection = _read(Path(collected["folder"]) / "collection.json") if collected else {}
    context = {
        "cycle": cycle.name,
        "model": work.config.model,
        "headline": _headline(cycle),
        "history": [
            {
                "time": f"{row.time:%Y-%m-%d %H:%M:%S}",
                "state": row.state,
                "by": row.by,
                "says": decision_line(row.decision),
            }
            for row in cycle.rows
        ],
        "data": _data_facts(collected, cycle),
        "changes": "\n".join(collection.get("changes", ())),
        "doubts": [{**doubt, "suggested": f"{doubt['suggested']:.0%}"} for doubt in collection.get("doubts", ())],
        "tests": gate.get("tests", ()),
        "notes": gate.get("notes", ()),
        "photos": [
            {**one, "picture": thumbnail(Path(one["file"]), _SIDE) or NO_PICTURE} for one in gate.get("changed", ())
        ],
        "sha": cycle.rows[-1].sha,
    }
    target = folder / REPORT
    write_text(template("cycle.html.j2", context), target)
    return target


def decision_line(decision: dict[str, Any]) -> str:
    """A decision in one line, for tables."""
    if "deleted" in decision:
        why = f": {decision['why']}" if decision["why"] else ""
        return f"{decision['deleted']} photos were deleted on request{why}"
    if "reason" in decision:
        return str(decision["reason"])
    if "verdict" in decision:
        return f"{decision['verdict']}: " + "; ".join(f"{test['name']} {test['verdict']}" for test in decision["tests"])
    if "added" in decision:
        lost = f"conflicts {decision['conflicts']}, no photo {decision['no_photo']}"
        return f"{decision['added']} photos ({decision['why']}); {lost}"
    shown = ("accuracy", "version", "share", "before", "shadow", "e_value", "days")
    parts = (f"{name.replace('_', ' ')} {_number(decision[name])}" for name in shown if decision.get(name) is not None)
    return ", ".join(parts)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _headline(cycle: Cycle) -> str:
    if cycle.state == "closed":
        return str(cycle.last.decision.get("reason", "closed")).capitalize()
    return f"{cycle.state.capitalize()}: {MEANING.get(cycle.state, '')}"


def _data_facts(collected: dict[str, Any], cycle: Cycle) -> list[tuple[str, str]]:
    if not collected:
        return []
    splits = collected.get("splits", {})
    facts = {
        "new photos": str(collected.get("added")),
        "of them to train with": str(splits.get("train", 0)),
        "of them fresh": str(splits.get("fresh", 0)),
        "of none of the classes": str(collected.get("unknown_photos", 0)),
        "conflicts": str(collected.get("conflicts", 0)),
        "no photo kept": str(collected.get("no_photo", 0)),
        "to be deleted on request": str(collected.get("forgotten", 0)),
        "data version": f"{collected.get('data_version_before')} to {cycle.value('data_version')}",
        "frozen photos": f"{cycle.value('frozen')}, series {collected.get('series')}",
    }
    return list(facts.items())


def _read(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found

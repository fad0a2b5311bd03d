"""The steps of a cycle. Each may be repeated: with the same inputs it finds what it has made before.

A step returns a ``Move`` (the cycle comes to a state), or a ``Wait`` (for people, or for time to pass).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from animal_classification import bundle as bundles
from animal_classification.common.text_files import write_text
from animal_classification.data.manifest import Manifest
from animal_classification.evaluation.eval_set import Others
from animal_classification.loop.canary import request_counts
from animal_classification.loop.collection import UNKNOWN, CollectRequest, collect
from animal_classification.loop.dvc import track
from animal_classification.loop.forgotten_photos import ForgottenPhotos
from animal_classification.loop.gate import GatePhotos, GateResult, compare_models
from animal_classification.prediction_log.words import mark_collected
from animal_classification.registry.model_version import CANDIDATE
from animal_classification.registry.registration import register
from animal_classification.registry.resolver import local_bundle
from animal_classification.training.dataset import cache_folder
from animal_classification.training.run import INFO
from animal_classification.training.train import train

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.loop.cycle import Cycle
    from animal_classification.loop.labels import SpokenOf
    from animal_classification.loop.workplace import Workplace

GATE_FILE = "gate.json"
SHADOW, CANARY = "shadow", "canary"


@dataclass(frozen=True)
class Move:
    """A cycle comes to a state.

    Attributes:
        state: The state.
        decision: What was found and decided.
        facts: Values of the ledger's columns.
    """

    state: str
    decision: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wait:
    """Nothing can be done now.

    Attributes:
        why: What it waits for.
        whom: People, or time.
    """

    why: str
    whom: Literal["people", "time"]


def collect_labels(work: Workplace, name: str, spoken: SpokenOf, why: str) -> Move:
    """Let new labels join the data.

    Raises:
        NeedsPersonError: Too much of a class comes from one person or one day.
    """
    cycles = work.cycles()
    series = work.series()
    request = CollectRequest(
        cycle=name,
        base=work.data(cycles, series),
        spoken=spoken,
        photos=work.photos,
        rules=work.config.collect,
        training=work.training(),
        agreed=work.agreed,
        progress=work.progress,
        forgotten=ForgottenPhotos.read(work.home),
    )
    done = collect(request)
    decision = {
        "why": why,
        "series": series.number,
        "manifest": str(done.manifest),
        "folder": str(done.folder),
        **{key: value for key, value in done.facts.items() if key not in ("words", "doubts", "changes", "cycle")},
        "doubts": len(done.facts["doubts"]),
    }
    if (command := track(request.base.root)) is not None:
        decision["to_commit"] = command
    return Move(
        "collected",
        decision,
        {"data_version": done.facts["data_version"], "frozen": series.frozen().version},
    )


def train_candidate(work: Workplace, cycle: Cycle) -> Move:
    """Train on the data with the new labels."""
    found = cycle.decision("collected")
    words = json.loads((Path(found["folder"]) / "collection.json").read_text(encoding="utf-8"))["words"]
    mark_collected(work.engine, words, cycle.name)
    output = work.ledger.folder(cycle.name) / "runs"
    config = work.training(
        {
            "data.path": found["manifest"],
            "data.kind": "manifest",
            "data.root": None,  # which the manifest knows
            "data.resplit": False,
            "output": str(output),
        }
    )
    bundle = _finished(output)
    notes: tuple[str, ...] = ()
    if bundle is None:
        result = train(config, progress=work.progress)
        bundle, notes = result.bundle, result.notes
    loaded = bundles.load(bundle)
    decision = {"bundle": str(bundle), "accuracy": loaded.info.metrics.get("accuracy"), "notes": list(notes)}
    return Move("trained", decision, {"bundle": loaded.sha256})


def _finished(output: Path) -> Path | None:
    """The bundle of a run that was finished before its end was written down."""
    for info in sorted(output.glob(f"*/{INFO}")):
        if json.loads(info.read_text(encoding="utf-8")).get("state") == "finished":
            return info.parent / "bundle"
    return None


def gate_candidate(work: Workplace, cycle: Cycle) -> Move:
    """Hold the candidate against what is in production."""
    candidate = bundles.load(cycle.decision("trained")["bundle"])
    result = gate_bundle(work, candidate)
    production = work.production()
    write_text(
        json.dumps(result.as_object(), indent=1, ensure_ascii=False) + "\n",
        work.ledger.folder(cycle.name) / GATE_FILE,
    )
    tests = [{"name": test.name, "verdict": test.verdict, "says": test.says} for test in result.tests]
    decision = {
        "verdict": result.verdict,
        "tests": tests,
        "production": production.version,
        "notes": list(result.notes),
    }
    return Move("gated", decision)


def gate_bundle(work: Workplace, candidate: Bundle) -> GateResult:
    """Hold a bundle against what is in production, on the photos of the loop."""
    production = local_bundle(work.registry, work.production())
    series = work.series()
    current = work.data(work.cycles(), series)
    photos = GatePhotos(
        frozen=series.frozen(),
        current=current,
        strangers=_strangers(work, current),
        cache=cache_folder(work.training().data),
    )
    return compare_models(production, candidate, photos, work.config.gate, work.progress)


def _strangers(work: Workplace, current: Manifest) -> Others:
    """Photos of none of the classes: the configured ones, and those that reviewers said so of."""
    folders = sorted((current.root / "feedback").glob(f"*/{UNKNOWN}"))
    filled = [str(folder) for folder in folders if any(folder.iterdir())]
    return Others.of((*work.config.gate.unknown_photos, *filled))


def after_gate(work: Workplace, cycle: Cycle) -> Move | Wait:
    """Offer a candidate that passed; end the cycle of one that failed."""
    decision = cycle.decision("gated")
    if decision["verdict"] == "fail":
        failed = ", ".join(test["name"] for test in decision["tests"] if test["verdict"] == "fail")
        return Move("closed", {"reason": f"the candidate failed the gate: {failed}", "end": "failed"})
    if decision["verdict"] != "pass":
        says = "; ".join(test["says"] for test in decision["tests"] if test["verdict"] == "undecided")
        return Wait(f"the gate is undecided ({says}): more labels begin another cycle", "people")
    version = _offered(work, cycle)
    if work.config.shadow.on:
        work.registry.set_alias(version, SHADOW)
        return Move("shadow", {"version": version.version}, {"registry_version": str(version.version)})
    return begin_canary(work, cycle, {"shadow": "off"})


def _offered(work: Workplace, cycle: Cycle) -> Any:
    """The candidate as a version of the registry, with its alias; the same version each time."""
    version = register(
        Path(cycle.decision("trained")["bundle"]),
        name=work.config.model,
        uri=work.config.registry,
        test_version=work.series().frozen().version,
    )
    work.registry.set_alias(version, CANDIDATE)
    return version


def begin_canary(work: Workplace, cycle: Cycle, found: dict[str, Any]) -> Move:
    """Let the candidate answer the first share of requests."""
    version = _offered(work, cycle)
    shares = work.config.canary.shares
    facts = {"registry_version": str(version.version)}
    if not shares:
        return Move("canary", {**found, "version": version.version, "share": 0.0, "done": True}, facts)
    if work.config.canary.metrics:
        found = {**found, "requests": request_counts(work.config.canary.metrics)}
    registry = work.registry
    registry.set_share(version, shares[0])
    registry.set_alias(version, CANARY)
    return Move("canary", {**found, "version": version.version, "share": shares[0], "done": False}, facts)

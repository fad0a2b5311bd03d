"""``animals loop run``: does what is due, writes each transition down, and ends where people or time must act."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from animal_classification.errors import AnimalsError, NeedsPersonError, UsageError
from animal_classification.loop.conditions import due
from animal_classification.loop.cycle import Cycle, find_cycle
from animal_classification.loop.cycle_report import write_cycle_report
from animal_classification.loop.label_requests import ask_no_more, ask_people
from animal_classification.loop.labels import SpokenOf
from animal_classification.loop.live_steps import drop_aliases, take_back, watch_canary, watch_promoted, watch_shadow
from animal_classification.loop.lock import only_one
from animal_classification.loop.served_name import other_name_notes
from animal_classification.loop.situation import harmful_drift, new_labels, situation
from animal_classification.loop.steps import Move, Wait, after_gate, collect_labels, gate_candidate, train_candidate
from animal_classification.registry.promotion import rollback

if TYPE_CHECKING:
    from collections.abc import Callable

    from animal_classification.loop.ledger import Transition
    from animal_classification.loop.workplace import Workplace

Until = Literal["collect", "gate", "shadow", "canary", "promote"]
# After which state each of these ends.
_ENDS: dict[str, tuple[str, ...]] = {
    "collect": ("collected", "trained", "gated", "shadow", "canary", "promoted", "watched", "closed"),
    "gate": ("gated", "shadow", "canary", "promoted", "watched", "closed"),
    "shadow": ("shadow", "canary", "promoted", "watched", "closed"),
    "canary": ("canary", "promoted", "watched", "closed"),
    "promote": ("promoted", "watched", "closed"),
}


@dataclass(frozen=True)
class LoopRun:
    """What a run did.

    Attributes:
        moves: The transitions, in order.
        wait: What it waits for now; ``None`` where it just stopped as it was told.
        cycle: The cycle as it is now; ``None`` before the first.
        notes: What a person should know of it.
    """

    moves: tuple[Transition, ...]
    wait: Wait | None
    cycle: Cycle | None
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0: nothing is to be done, or it is done; 1: the candidate failed; 3: it waits for people."""
        if self.wait is not None and self.wait.whom == "people":
            return 3
        last = self.moves[-1].decision if self.moves else {}
        if last.get("end") == "failed" or last.get("verdict") == "fail":
            return 1
        return 3 if last.get("verdict") == "undecided" else 0


def run_loop(work: Workplace, *, until: Until | None = None) -> LoopRun:
    """Do what is due.

    Raises:
        AnimalsError: Another process is at it, or the work failed; what was done so far is kept.
    """
    with only_one(work.home):
        moves: list[Transition] = []
        while True:
            cycle = _newest(work)
            if cycle is not None and until is not None and moves and cycle.state in _ENDS[until]:
                return _done(work, moves, None)
            outcome = _step(work, cycle, ended=any(move.state == "closed" for move in moves), until=until)
            if isinstance(outcome, Wait):
                return _done(work, moves, outcome)
            name, seq, move = outcome
            moves.append(_append(work, name, seq, move))


def begin(work: Workplace, spoken: SpokenOf, why: str) -> LoopRun:
    """Begin a cycle with these labels, whatever the conditions say.

    Raises:
        UsageError: A cycle is open, or there is no label.
        NeedsPersonError: Too much of a class comes from one person or one day.
    """
    with only_one(work.home):
        cycle = _newest(work)
        if cycle is not None and cycle.open:
            raise UsageError(
                f"{cycle.name} is open ({cycle.state}): animals loop run goes on with it, and "
                f"animals loop stop {cycle.name} ends it"
            )
        if not spoken.labelled:
            raise UsageError("; ".join(("there is no new labelled photo to collect", *spoken.left_out())))
        name = work.ledger.cycle_name(len(work.cycles()) + 1)
        ask_no_more(work)
        return _done(work, [_append(work, name, 0, collect_labels(work, name, spoken, why))], None)


def stop_cycle(work: Workplace, name: str, why: str) -> Transition:
    """End a cycle; its labels stay in the data.

    Raises:
        UsageError: There is no such cycle, or it is over.
    """
    with only_one(work.home):
        cycle = find_cycle(work.ledger.transitions(), name)
        if not cycle.open:
            raise UsageError(f"{cycle.name} is over: {cycle.last.decision.get('reason', '')}")
        drop_aliases(work)
        move = Move("closed", {"reason": why or f"stopped by {work.by}", "end": "stopped"})
        return _append(work, cycle.name, len(cycle.rows), move)


def roll_back(work: Workplace, why: str) -> tuple[str, Transition | None]:
    """Put the version that was in production before back; also ends the watch of the cycle that promoted it."""
    with only_one(work.home):
        cycle = _newest(work)
        if cycle is not None and cycle.state in ("promoted", "watched"):
            row = _append(work, cycle.name, len(cycle.rows), take_back(work, cycle, why or f"by {work.by}"))
            return work.production().label, row
        return rollback(work.config.model, uri=work.config.registry).now.label, None


def _newest(work: Workplace) -> Cycle | None:
    cycles = work.cycles()
    return cycles[-1] if cycles else None


_STEPS: dict[str, Callable[[Workplace, Cycle], Move | Wait]] = {
    "collected": train_candidate,
    "trained": gate_candidate,
    "gated": after_gate,
    "shadow": watch_shadow,
    "canary": watch_canary,
    "promoted": watch_promoted,
    "watched": lambda _, cycle: Move("closed", {"reason": "nothing went wrong while it was watched", "end": "done"}),
}


def _step(work: Workplace, cycle: Cycle | None, *, ended: bool, until: Until | None) -> tuple[str, int, Move] | Wait:
    """The next transition, or what it waits for."""
    if cycle is None or not cycle.open:
        if ended:  # one cycle in a run
            return Wait("the cycle is over", "time")
        return _beginning(work)
    outcome = _STEPS[cycle.state](work, cycle)
    if isinstance(outcome, Wait):
        if cycle.state == "gated" and _enough_for_another(work):
            reason = "the gate was undecided, and there are labels for another cycle"
            return cycle.name, len(cycle.rows), Move("closed", {"reason": reason, "end": "undecided"})
        return outcome
    if until is not None and outcome.state not in _ENDS[until] and cycle.state in _ENDS[until]:
        return Wait(f"{cycle.name} is {cycle.state}; --until {until} ends here", "time")
    return cycle.name, len(cycle.rows), outcome


def _beginning(work: Workplace) -> tuple[str, int, Move] | Wait:
    cycles = work.cycles()
    spoken = new_labels(work, cycles)
    drift = harmful_drift(work)
    decision = due(situation(work, cycles, spoken, drift), work.config.start)
    if drift is not None and decision.asks_for:
        return _asking(decision.why, ask_people(work, drift, decision.asks_for))
    ask_no_more(work)
    if not decision.begins:
        return Wait(f"nothing is due: {decision.why}", "time")
    name = work.ledger.cycle_name(len(cycles) + 1)
    return name, 0, collect_labels(work, name, spoken, decision.why)


def _asking(why: str, count: int) -> Wait:
    """It waits for labels: without them training would learn nothing new."""
    if count:
        return Wait(f"{why}; the loop asks for labels: {count} photos wait on the review page (queue=asked)", "people")
    return Wait(
        f"{why}; the loop would ask for labels, but no photo without one is kept: servers keep them with --keep-photos",
        "people",
    )


def _enough_for_another(work: Workplace) -> bool:
    return len(new_labels(work, work.cycles()).labelled) >= max(1, work.config.start.labels)


def _append(work: Workplace, name: str, seq: int, move: Move) -> Transition:
    facts = dict(move.facts)
    cycle = next((one for one in work.cycles() if one.name == name), None)
    if cycle is not None:  # what the cycle was decided on stays said in every row
        for column in ("data_version", "frozen", "bundle", "registry_version"):
            facts.setdefault(column, cycle.value(column))
    row = work.ledger.append(work.transition(name, seq, move.state, decision=move.decision, **facts))
    work.progress(f"{name}: {move.state}", 1, 1)
    return row


def _done(work: Workplace, moves: list[Transition], wait: Wait | None) -> LoopRun:
    cycle = _newest(work)
    if cycle is not None and moves:
        with contextlib.suppress(AnimalsError):  # no Jinja2, a full disk: the loop's work is done all the same
            write_cycle_report(work, cycle)
    return LoopRun(tuple(moves), wait, cycle, tuple(other_name_notes(work)))


__all__ = ["LoopRun", "NeedsPersonError", "begin", "roll_back", "run_loop", "stop_cycle"]

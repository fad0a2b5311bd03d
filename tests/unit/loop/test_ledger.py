"""The ledger: a chain in two places, which a killed process leaves at most one row apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, update

from animal_classification.errors import AnimalsError
from animal_classification.loop.ledger import AUDIT_FILE, Ledger, Transition
from animal_classification.prediction_log.database import connect, writing
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.tables import loop as table


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path / 'log.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(tmp_path: Path, engine: Engine) -> Ledger:
    return Ledger(tmp_path / "loop", engine, "zoo")


def row(cycle: str, seq: int, state: str, **decision: object) -> Transition:
    return Transition(cycle=cycle, seq=seq, time=datetime.now(UTC), state=state, by="ann", decision=decision)


def three(ledger: Ledger) -> list[Transition]:
    return [
        ledger.append(row("ZOO-0001", 0, "collected", added=3, share=0.1)),
        ledger.append(row("ZOO-0001", 1, "closed", reason="é")),
        ledger.append(row("ZOO-0002", 0, "collected")),
    ]


def test_rows_are_linked_over_cycles(ledger: Ledger) -> None:
    rows = three(ledger)
    assert [one.prev_sha for one in rows[1:]] == [one.sha for one in rows[:2]]
    assert ledger.transitions() == rows
    assert ledger.verify() == []


def test_another_model_has_a_chain_of_its_own(ledger: Ledger, engine: Engine, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "loop", engine, "zoo-2")
    rows = three(ledger)
    other.append(row("ZOO-2-0001", 0, "collected"))
    assert ledger.transitions() == rows
    assert other.verify() == ledger.verify() == []


def test_who_changes_a_row_is_found(ledger: Ledger, engine: Engine, tmp_path: Path) -> None:
    three(ledger)
    with writing(engine) as connection:
        connection.execute(update(table).where(table.c.seq == 1).values(by="bob"))
    assert any("was changed" in line for line in ledger.verify())
    file = tmp_path / "loop" / "ZOO-0001" / AUDIT_FILE
    lines = file.read_text(encoding="utf-8").splitlines()
    changed = json.loads(lines[0])
    changed["decision"]["added"] = 4
    file.write_text("\n".join([json.dumps(changed), *lines[1:], ""]), encoding="utf-8")
    assert sum("was changed" in line for line in ledger.verify()) == 2


def test_a_row_that_is_gone_is_missed(ledger: Ledger, engine: Engine) -> None:
    three(ledger)
    with writing(engine) as connection:
        connection.execute(delete(table).where(table.c.cycle == "ZOO-0001", table.c.seq == 1))
    problems = ledger.verify()
    assert any("does not follow" in line for line in problems)
    with pytest.raises(AnimalsError, match="contradicts itself"):
        ledger.transitions()


def test_what_a_killed_process_left_is_completed(ledger: Ledger, engine: Engine, tmp_path: Path) -> None:
    rows = three(ledger)
    file = tmp_path / "loop" / "ZOO-0002" / AUDIT_FILE
    file.write_bytes(file.read_bytes()[:40])  # killed while it wrote the line
    assert ledger.transitions() == rows
    assert ledger.verify() == []
    with writing(engine) as connection:  # the database was put back from a backup
        connection.execute(delete(table).where(table.c.cycle == "ZOO-0002"))
    assert ledger.transitions() == rows
    assert ledger.verify() == []


def test_two_who_append_at_once(ledger: Ledger, engine: Engine, tmp_path: Path) -> None:
    three(ledger)
    elsewhere = Ledger(tmp_path / "other machine", engine, "zoo")
    elsewhere.append(row("ZOO-0002", 1, "trained"))
    with pytest.raises(AnimalsError, match="another process has moved this cycle on"):
        elsewhere.append(row("ZOO-0002", 1, "trained"))


def test_nothing_goes_on_from_a_ledger_that_was_changed(ledger: Ledger, engine: Engine, tmp_path: Path) -> None:
    """Yesterday a decision could be changed in both places, as long as nobody asked for ``--verify``."""
    three(ledger)
    with writing(engine) as connection:
        connection.execute(update(table).where(table.c.seq == 1).values(decision={"reason": "promoted"}))
    file = tmp_path / "loop" / "ZOO-0001" / AUDIT_FILE
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    lines[1]["decision"] = {"reason": "promoted"}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(AnimalsError, match=r"ledger was changed: ZOO-0001 1 \(closed\) was changed"):
        ledger.transitions()
    with pytest.raises(AnimalsError, match="was changed"):
        ledger.append(row("ZOO-0002", 1, "trained"))


@pytest.mark.parametrize("line", ["[]", "3", '"x"', "null", "{}", "[" * 100_000, '{"time": 3}', '{"time": "x"}'])
def test_a_line_that_is_no_transition_is_named(ledger: Ledger, tmp_path: Path, line: str) -> None:
    three(ledger)
    file = tmp_path / "loop" / "ZOO-0002" / AUDIT_FILE
    file.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(AnimalsError, match="line 1 is no transition of a loop"):
        ledger.transitions()

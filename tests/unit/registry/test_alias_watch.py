"""What an alias stands for, without asking more often than needed."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from animal_classification.registry.alias_watch import AliasWatch
from animal_classification.registry.store import Registry


def test_a_file_that_was_not_written_since_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def find(reference: object) -> SimpleNamespace:
        asked.append(reference)
        return SimpleNamespace(version=3)

    monkeypatch.setattr(Registry, "open", lambda _: SimpleNamespace(find=find))
    # SQLite's other files come and go: one may be there when it is looked for, and gone when it is looked at.
    monkeypatch.setattr(Path, "exists", lambda _: True)
    database = tmp_path / "mlflow.db"
    database.write_bytes(b"x")
    os.utime(database, (1e9, 1e9))
    watch = AliasWatch("zoo@production", uri=f"sqlite:///{database}")
    assert [watch.version() for _ in range(3)] == [3, 3, 3]
    assert len(asked) == 1
    journal = tmp_path / "mlflow.db-journal"
    journal.write_bytes(b"x")
    os.utime(journal, (1e9, 1e9))
    assert watch.version() == 3
    assert len(asked) == 2
    database.touch()  # just now, and perhaps again
    assert [watch.version() for _ in range(2)] == [3, 3]
    assert len(asked) == 4

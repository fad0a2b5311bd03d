"""A run's folder: which command finds which run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from animal_classification.config.compose import compose
from animal_classification.training import run as runs


@pytest.fixture
def commit(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """The code that runs; to be changed."""
    code: dict[str, str | None] = {"version": "1.0", "git": "a" * 40}
    monkeypatch.setattr(runs, "code_version", lambda: dict(code))
    return code


def test_other_code_begins_a_new_run_and_says_which_it_left(tmp_path: Path, commit: dict[str, str | None]) -> None:
    config = compose(("data.path=photos", f"output={tmp_path}"))
    first = runs.open_run(config, name="zoo", data_version="d1")
    assert runs.open_run(config, name="zoo", data_version="d1") == runs.Run(first.path, resumed=True)
    commit["git"] = "b" * 40
    second = runs.open_run(config, name="zoo", data_version="d1")
    assert second.path != first.path
    assert not second.resumed
    (note,) = second.notes
    assert str(first.path) in note
    assert "begun by aaaaaaaa" in note
    # Other data, or a finished run, is nothing to go on with.
    commit["git"] = "c" * 40
    assert runs.open_run(config, name="zoo", data_version="d2").notes == ()
    first.finish()
    commit["git"] = "d" * 40
    assert len(runs.open_run(config, name="zoo", data_version="d1").notes) == 1  # the second one is still there
    (first.path / runs.INFO).write_text(json.dumps({"state": "running"}))
    commit["git"] = "e" * 40
    assert all(str(first.path) not in note for note in runs.open_run(config, name="zoo", data_version="d1").notes)

"""The registry is where a command ran; whoever runs the next one elsewhere is told where that was."""

from __future__ import annotations

from pathlib import Path

import pytest

from animal_classification.errors import RegistryError
from animal_classification.registry import last_used
from animal_classification.registry.mlflow_client import connect


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


def refusal(file: Path) -> str:
    with pytest.raises(RegistryError) as raised:
        connect(f"sqlite:///{file}", create=False)
    return str(raised.value)


def test_a_registry_that_is_elsewhere_is_named(tmp_path: Path) -> None:
    used = tmp_path / "zoo/runs/mlflow.db"
    used.parent.mkdir(parents=True)
    used.touch()
    last_used.remember(used)
    said = refusal(tmp_path / "elsewhere/runs/mlflow.db")
    assert f"the last one used is {used}; run this in {tmp_path / 'zoo'}, or set " in said
    assert said.endswith(f"ANIMALS_TRACKING_URI=sqlite:///{used.as_posix()}")


def test_one_that_is_gone_is_not(tmp_path: Path) -> None:
    last_used.remember(tmp_path / "gone/mlflow.db")
    assert refusal(tmp_path / "runs/mlflow.db").endswith(
        "train a model first, or say where it is with ANIMALS_TRACKING_URI"
    )


def test_a_state_folder_that_cannot_be_written_is_no_trouble(tmp_path: Path, state: Path) -> None:
    state.write_text("a file", encoding="utf-8")
    last_used.remember(tmp_path / "mlflow.db")
    assert last_used.recall() is None

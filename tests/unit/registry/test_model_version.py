"""Words that name a registered model."""

from __future__ import annotations

from pathlib import Path

import pytest

from animal_classification.errors import UsageError
from animal_classification.registry import resolve_model
from animal_classification.registry.mlflow_client import artifact_location, one_line, shown, tracking_uri
from animal_classification.registry.model_version import ModelReference, measured, parse_reference, registered_name


@pytest.mark.parametrize("prefix", ["", "models:/"])
def test_references(prefix: str) -> None:
    assert parse_reference(f"{prefix}zoo@production") == ModelReference("zoo", alias="production")
    assert parse_reference(f"{prefix}zoo/3") == ModelReference("zoo", version=3)
    assert parse_reference(f"{prefix}zoo") == ModelReference("zoo")


@pytest.mark.parametrize(
    "text", ["", "models:/", "zoo@", "zoo/x", "zoo/", "a/b/c", "zoo@a@b", "models:zoo", "@production"]
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(UsageError, match="is not a registered model; write models:/NAME@ALIAS or models:/NAME/VERSION"):
        parse_reference(text)


@pytest.mark.parametrize("model", ["photos", "./zoo", "gs://bucket/zoo", "models/zoo"])
def test_other_models_are_none_of_the_registrys_business(model: str) -> None:
    assert resolve_model(model, uri="nonsense://") == model


def test_the_prefix_may_be_left_out_before_an_alias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert registered_name("zoo@production") == "models:/zoo@production"
    assert registered_name("models:/zoo/3") == "models:/zoo/3"
    for other in ("photos", "zoo/3", "gs://zoo@x/model", "a/b@c"):
        assert registered_name(other) is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo@production").mkdir()
    assert registered_name("zoo@production") is None, "a folder of that name comes first"


def test_a_version_has_to_be_said() -> None:
    with pytest.raises(UsageError, match="which version\\? write models:/zoo@production"):
        resolve_model("models:/zoo")


def test_where_things_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking_uri(output="/data/runs") == "sqlite:////data/runs/mlflow.db"
    assert artifact_location("sqlite:////data/runs/mlflow.db", output="/other") == "file:///data/runs/mlartifacts"
    assert artifact_location("postgresql://db/mlflow", output="/data/runs") == "file:///data/runs/mlartifacts"
    assert artifact_location("https://mlflow.zoo.org") is None
    monkeypatch.setenv("ANIMALS_TRACKING_URI", "https://mlflow.zoo.org")
    assert tracking_uri(output="/data/runs") == "https://mlflow.zoo.org"
    assert tracking_uri("https://other.org", output="/data/runs") == "https://other.org"


def test_passwords_are_not_shown() -> None:
    assert shown("postgresql://user:secret@db/mlflow") == "postgresql://user@db/mlflow"  # pragma: allowlist secret
    assert one_line(ValueError("cannot reach postgresql://u:secret@db/x\nmore")) == (  # pragma: allowlist secret
        "cannot reach postgresql://u@db/x"
    )


def test_numbers_go_by_one_name() -> None:
    assert measured({"accuracy": 0.5, "recall": {"cat": 1}, "note": "x"}, {"test/accuracy": 0.9}) == {
        "accuracy": 0.9,
        "recall/cat": 1.0,
    }

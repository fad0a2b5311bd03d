"""What an operator writes for a model."""

from __future__ import annotations

import pytest

from animal_classification.errors import UsageError
from animal_classification.serving.models.model_spec import (
    ModelSource,
    ServingPlan,
    TrafficShare,
    parse_source,
    parse_traffic_share,
)
from animal_classification.settings import Settings


@pytest.mark.parametrize(
    ("text", "model", "name", "alias"),
    [
        ("photos", "photos", None, None),
        ("zoo=runs/zoo", "runs/zoo", "zoo", None),
        ("./a=b/model", "./a=b/model", None, None),
        ("gs://bucket/model?x=1", "gs://bucket/model?x=1", None, None),
        ("models:/zoo@production", "models:/zoo@production", None, "zoo@production"),
        ("animals=models:/zoo@production", "models:/zoo@production", "animals", "zoo@production"),
        ("models:/zoo/3", "models:/zoo/3", None, None),
        ("zoo@production", "models:/zoo@production", None, "zoo@production"),
        ("animals=zoo@production", "models:/zoo@production", "animals", "zoo@production"),
    ],
)
def test_sources(text: str, model: str, name: str | None, alias: str | None) -> None:
    source = parse_source(text)
    assert (source.model, source.name, source.alias) == (model, name, alias)


def test_what_is_no_name_of_the_registry() -> None:
    with pytest.raises(UsageError, match="is not a registered model"):
        parse_source("models:/zoo@a@b").alias  # noqa: B018 - a property that refuses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zoo=models:/zoo@candidate@0.25", TrafficShare(ModelSource("models:/zoo@candidate"), "zoo", 0.25)),
        ("models:/zoo@candidate", TrafficShare(ModelSource("models:/zoo@candidate"), None, 1.0)),
        ("zoo=zoo@candidate@0.25", TrafficShare(ModelSource("models:/zoo@candidate"), "zoo", 0.25)),
        ("zoo@candidate", TrafficShare(ModelSource("models:/zoo@candidate"), None, 1.0)),
        ("photos@1", TrafficShare(ModelSource("photos"), None, 1.0)),
        ("photos=runs/new@1", TrafficShare(ModelSource("runs/new"), "photos", 1.0)),
        ("runs/new", TrafficShare(ModelSource("runs/new"), None, 1.0)),
    ],
)
def test_splits(text: str, expected: TrafficShare) -> None:
    assert parse_traffic_share(text, "canary") == expected


@pytest.mark.parametrize("share", ["0", "-0.1", "1.5", "nan", "inf"])
def test_a_share_that_cannot_be(share: str) -> None:
    with pytest.raises(UsageError, match=r"shadow 'zoo=new@.*': the share must be above 0 and at most 1"):
        parse_traffic_share(f"zoo=new@{share}", "shadow")


def test_a_server_needs_a_model() -> None:
    with pytest.raises(UsageError, match="no model is named"):
        ServingPlan.of(Settings(model=()))

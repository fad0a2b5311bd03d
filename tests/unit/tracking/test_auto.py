"""What ``auto`` stands for, on a machine with MLflow and on one without."""

from __future__ import annotations

import pytest

from animal_classification.config.compose import compose
from animal_classification.errors import MissingExtraError
from animal_classification.registry import mlflow_client
from animal_classification.tracking import factory


@pytest.mark.parametrize(
    ("words", "with_mlflow", "without"),
    [
        ("", (("mlflow", "csv"), True), (("csv",), False)),
        ("tracking=wandb", (("mlflow", "wandb", "csv"), True), (("wandb", "csv"), False)),
        ("tracking=tensorboard", (("mlflow", "tensorboard", "csv"), True), (("tensorboard", "csv"), False)),
        ("tracking=csv", (("csv",), False), (("csv",), False)),
        ("tracking=none", ((), False), ((), False)),
        ("tracking.register=false", (("mlflow", "csv"), False), (("csv",), False)),
        ("tracking.to=[auto,mlflow,csv,csv]", (("mlflow", "csv"), True), (("mlflow", "csv"), False)),
        ("tracking=mlflow", (("mlflow", "csv"), True), (("mlflow", "csv"), True)),
    ],
)
def test_auto_is_mlflow_where_it_is_installed(
    words: str,
    with_mlflow: tuple[tuple[str, ...], bool],
    without: tuple[tuple[str, ...], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for installed, expected in ((True, with_mlflow), (False, without)):
        monkeypatch.setattr(factory, "is_installed", lambda installed=installed: installed)
        tracking = factory.without_auto(compose(words.split())).tracking
        assert (tracking.to, tracking.register_model) == expected


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("tracking=mlflow", "tracking with mlflow"),
        ("tracking.to=[mlflow]", "tracking with mlflow"),
        ("tracking=csv tracking.register=true", "tracking.register=true"),
    ],
)
def test_mlflow_by_name_is_refused_where_it_is_not_installed(
    words: str, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_client, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=rf"^{refused} needs an extra: pip install .*\[mlflow\]"):
        factory.check_installed(factory.without_auto(compose(words.split())))
    monkeypatch.setattr(factory, "is_installed", lambda: False)
    factory.check_installed(factory.without_auto(compose([])))

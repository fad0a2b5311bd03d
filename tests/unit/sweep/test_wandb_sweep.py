"""A ``sweep.yaml`` of W&B is read as it is: its names, its distributions, its way to search."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from animal_classification.config.compose import tree
from animal_classification.errors import UsageError
from animal_classification.sweep.runner import Sweep, plan
from animal_classification.sweep.wandb_sweep import metric_name, read

STUDENTS = """
program: src/animal_classification/train_model.py
method: random
metric:
  name: validation_loss
  goal: minimize
parameters:
  lr:
    distribution: log_uniform_values
    min: 1e-5
    max: 0.1
  batch_size:
    values: [16, 32, 64]
  epochs:
    min: 5
    max: 20
command:
  - ${env}
  - python
  - ${program}
  - ${args}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sweep.yaml"


def planned(file: Path, text: str, *words: str) -> Sweep:
    file.write_text(text, encoding="utf-8")
    return plan(tree([*read(file).words, "recipe=cnn", *words], sweeping=True).config)


def tried(file: Path, parameter: str) -> dict[str, Any]:
    """What becomes of one parameter called ``lr``."""
    space = planned(file, f"parameters: {{lr: {parameter}}}").space
    return space["recipe.lr"].model_dump(exclude_defaults=True)


def test_the_students_file(file: Path) -> None:
    sweep = planned(file, STUDENTS)
    assert {key: value.model_dump(exclude_defaults=True) for key, value in sweep.space.items()} == {
        "recipe.lr": {"low": 1e-5, "high": 0.1, "log": True},
        "recipe.batch_size": {"values": (16, 32, 64)},
        "recipe.epochs": {"low": 5, "high": 20},
    }
    settings = sweep.settings
    assert (settings.sampler, settings.pruner, settings.metric, sweep.minimise) == ("random", "none", "val/loss", True)
    assert read(file).notes == (f"{file}: program, command not used; trials run in this process",)


def test_words_after_the_file_win(file: Path) -> None:
    words = ["sweep.trials=3", "recipe.epochs=2", "sweep.space.recipe.lr={values: [0.1]}", "sweep.metric=val/accuracy"]
    sweep = planned(file, STUDENTS, *words, "sweep.direction=auto")
    assert set(sweep.space) == {"recipe.lr", "recipe.batch_size"}
    assert sweep.space["recipe.lr"].model_dump() == {"values": (0.1,)}
    assert (sweep.wanted, sweep.config.recipe.model_dump()["epochs"], sweep.minimise) == (3, 2, False)


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("{min: 0.5, max: 1}", {"low": 0.5, "high": 1.0}),
        ("{min: 1, max: 3}", {"low": 1, "high": 3}),
        ("{distribution: uniform, min: 1, max: 3}", {"low": 1.0, "high": 3.0}),
        ("{distribution: int_uniform, min: 1, max: 3}", {"low": 1, "high": 3}),
        ("{distribution: q_uniform, min: 1, max: 9, q: 2}", {"low": 1, "high": 9, "step": 2}),
        ("{distribution: q_uniform, min: 0.1, max: 0.9, q: 0.2}", {"low": 0.1, "high": 0.9, "step": 0.2}),
        ("{distribution: log_uniform_values, min: 1e-4, max: 1e-1}", {"low": 1e-4, "high": 0.1, "log": True}),
        ("{distribution: log_uniform, min: -2, max: 0}", {"low": math.exp(-2), "high": 1.0, "log": True}),
        ("{distribution: normal, mu: 5, sigma: 1}", {"low": 3.0, "high": 7.0}),
        ("{distribution: log_normal, mu: 0, sigma: 0.5}", {"low": math.exp(-1), "high": math.exp(1), "log": True}),
        ("{values: [1e-3, 0.1]}", {"values": (0.001, 0.1)}),
        ("{distribution: categorical, values: [0.1]}", {"values": (0.1,)}),
    ],
)
def test_distributions(file: Path, parameter: str, expected: dict[str, Any]) -> None:
    found = tried(file, parameter)
    assert found == pytest.approx(expected) if "values" not in expected else found == expected
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in expected.items()}


def test_rounded_on_a_log_scale(file: Path) -> None:
    sweep = planned(file, "parameters: {batch_size: {distribution: q_log_uniform_values, q: 8, min: 32, max: 256}}")
    values = sweep.space["recipe.batch_size"].model_dump()["values"]
    assert (values[0], values[-1]) == (32, 256)
    assert all(isinstance(value, int) and value % 8 == 0 for value in values)
    assert "recipe.batch_size is tried at 32, 40" in read(file).notes[0]


def test_constants_and_nesting_and_other_names(file: Path) -> None:
    text = "parameters: {optimizer: {value: sgd}, seed: {value: 3}, model: {parameters: {dropout: {min: 0, max: 0.5}}}}"
    sweep = planned(file, text)
    assert (sweep.config.optim.name, sweep.config.seed) == ("sgd", 3)
    assert set(sweep.space) == {"recipe.dropout"}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("validation_loss", "val/loss"),
        ("val_loss", "val/loss"),
        ("Val/Loss", "val/loss"),
        ("valid-acc", "val/accuracy"),
        ("loss", "val/loss"),
        ("train_loss", "train/loss"),
        ("test.accuracy", "test/accuracy"),
        ("test/recall/cat", "test/recall/cat"),
    ],
)
def test_names_of_metrics(theirs: str, ours: str) -> None:
    assert metric_name(theirs) == ours


def test_other_ways_to_search(file: Path) -> None:
    text = "method: bayes\nrun_cap: 7\nname: mine\nearly_terminate: {type: hyperband, min_iter: 3}\nwhat: ever\n"
    sweep = planned(file, f"{text}metric: {{name: val_acc, goal: maximize}}\nparameters: {{lr: {{min: 0.1, max: 1}}}}")
    settings = sweep.settings
    assert (settings.sampler, settings.pruner, sweep.wanted, sweep.name) == ("tpe", "hyperband", 7, "mine")
    assert not sweep.minimise
    assert read(file).notes == (f"{file}: what is not known and not used",)


def test_how_early_a_trial_ends(file: Path) -> None:
    space = "parameters: {lr: {min: 0.1, max: 1}}"
    for early, expected in (
        ("min_iter: 3, eta: 2", (3, 2)),
        ("max_iter: 27, s: 2", (3, 3)),
        ("max_iter: 8, s: 3, eta: 2", (1, 2)),
        ("min_iter: 4, strict: true", (4, 3)),
    ):
        settings = planned(file, f"early_terminate: {{type: hyperband, {early}}}\n{space}").settings
        assert (settings.min_resource, settings.reduction_factor) == expected
    assert read(file).notes == (f"{file}: early_terminate.strict is not used",)
    file.write_text(f"early_terminate: {{type: hyperband, eta: 1}}\n{space}", encoding="utf-8")
    with pytest.raises(UsageError, match="eta is 1; it must be a whole number from 2 on"):
        read(file)


def test_probabilities_of_a_random_search(file: Path) -> None:
    assert tried(file, "{values: [a, b, c], probabilities: [0.5, 0.25, 0.25]}".replace("a, b, c", "1, 2, 3")) == {
        "values": (1, 1, 2, 3)
    }
    file.write_text("method: bayes\nparameters: {lr: {values: [1, 2], probabilities: [0.9, 0.1]}}", encoding="utf-8")
    assert "does not use probabilities" in read(file).notes[0]
    file.write_text("parameters: {lr: {values: [1, 2], probabilities: [0.9]}}", encoding="utf-8")
    with pytest.raises(UsageError, match="are not one for each value"):
        read(file)


def test_what_is_below_the_optimizer_is_of_the_optimizer(file: Path) -> None:
    inner = "name: {values: [adam, sgd]}, weight_decay: {value: 0.1}, learning_rate: {min: 0.1, max: 1}"
    sweep = planned(file, f"parameters: {{optimizer: {{parameters: {{{inner}}}}}}}")
    assert set(sweep.space) == {"optim.name", "recipe.lr"}
    assert sweep.config.optim.weight_decay == 0.1


def test_every_key_that_is_not_read_is_named(file: Path) -> None:
    file.write_text(
        "metric: {name: val_acc, target: 0.9}\n"
        "parameters: {lr: {min: 0.1, max: 1, q: 2}, epochs: {value: 3, probabilities: [1]}}",
        encoding="utf-8",
    )
    assert read(file).notes == (
        f"{file}: metric has no goal, so val_acc is minimised, as W&B does; or say goal: maximize",
        f"{file}: metric.target is not used",
        f"{file}: recipe.lr does not use q",
        f"{file}: recipe.epochs does not use probabilities",
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1", " is no YAML in line 1: expected ',' or ']', but got '<stream end>'"),
        ("- 1", " is no sweep: it has no parameters:"),
        ("parameters: 3", " is no sweep: it has no parameters:"),
        ("method: magic\nparameters: {}", ": method is 'magic'; it must be random, grid or bayes"),
        ("metric: loss\nparameters: {}", ": metric has no name"),
        ("metric: {name: x, goal: best}\nparameters: {}", ": goal is 'best'; it must be minimize or maximize"),
        ("early_terminate: {type: x}\nparameters: {}", "; only its type hyperband is known"),
        ("parameters: {lrr: {value: 1}}", ": no such setting 'lrr'; did you mean"),
        ("parameters: {lr: 3}", ": lr: is 3; it must be value:, values:, or min: and max:"),
        ("parameters: {lr: {min: 3}}", ": lr: needs 'max'"),
        ("parameters: {lr: {min: a, max: b}}", ": lr: could not convert string to float: 'a'"),
        ("parameters: {lr: {distribution: unifrom, min: 1, max: 2}}", "did you mean 'uniform'?"),
        ("parameters: {lr: {distribution: beta}}", "distribution 'beta' is not supported; there is constant, "),
    ],
)  # fmt: skip
def test_files_that_are_wrong(file: Path, text: str, line: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read(file)
    assert line in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)

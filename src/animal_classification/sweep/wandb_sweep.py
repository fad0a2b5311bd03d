"""W&B's ``sweep.yaml`` in our own words: https://docs.wandb.ai/guides/sweeps/sweep-config-keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from animal_classification.common.suggest import either
from animal_classification.errors import UsageError
from animal_classification.sweep.wandb_parameters import parameter_words

_METHODS = {"random": "random", "grid": "grid", "bayes": "tpe"}
_SPLITS = {"val": "val", "valid": "val", "validation": "val", "train": "train", "training": "train", "test": "test"}
_MEASURES = {"loss": "loss", "acc": "accuracy", "accuracy": "accuracy", "top5": "top5"}
_KNOWN = {"method", "metric", "parameters", "early_terminate", "run_cap", "name", "program", "command", "project"}
_KNOWN |= {"description", "entity", "job", "imageuri"}
_IGNORED = ("program", "command", "project", "entity", "job", "imageuri")
# W&B's default.
_ETA = 3
_HYPERBAND_KEYS = {"type", "min_iter", "max_iter", "s", "eta"}


@dataclass(frozen=True)
class WandbSweep:
    """A W&B sweep in our words.

    Attributes:
        words: Overrides for ``compose``.
        notes: What was changed or ignored, a line each.
    """

    words: tuple[str, ...]
    notes: tuple[str, ...]


def read(path: Path) -> WandbSweep:
    """Read a ``sweep.yaml``.

    Raises:
        UsageError: It cannot be read, or asks for something unknown.
    """
    content = _load(path)
    notes: list[str] = []
    words = [word for part in (_search, _metric, parameter_words) for word in part(content, path, notes)]
    ignored = [key for key in _IGNORED if key in content]
    if ignored:
        notes.append(f"{path}: {', '.join(ignored)} not used; trials run in this process")
    unknown = sorted(set(map(str, content)) - _KNOWN)
    notes.extend(f"{path}: {key} is not known and not used" for key in unknown)
    return WandbSweep(tuple(words), tuple(notes))


def _load(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path} is no YAML{place}: {getattr(error, 'problem', None) or 'not UTF-8'}") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("parameters"), Mapping):
        raise UsageError(f"{path} is no sweep: it has no parameters:")
    return content


def _search(content: Mapping[str, Any], path: Path, notes: list[str]) -> Iterator[str]:
    method = content.get("method", "random")
    if method not in _METHODS:
        raise UsageError(f"{path}: method is {method!r}; it must be {either(_METHODS)}")
    yield f"sweep.sampler={_METHODS[method]}"
    yield from _early_terminate(content.get("early_terminate"), path, notes)
    if content.get("run_cap") is not None:
        yield f"sweep.trials={content['run_cap']}"
    if content.get("name") is not None:
        yield f"sweep.study={content['name']}"


def _early_terminate(early: Any, path: Path, notes: list[str]) -> Iterator[str]:
    """Hyperband with ``min_iter``, or with ``max_iter`` and ``s``, and ``eta``.

    Args:
        early: What the file says under ``early_terminate``; ``None`` for nothing.
        path: The file, for messages.
        notes: Gets a line for each key that is not used.

    Raises:
        UsageError: It is not Hyperband, or a value is not a whole number.
    """
    if early is None:
        yield "sweep.pruner=none"
        return
    if not isinstance(early, Mapping) or early.get("type") != "hyperband":
        raise UsageError(f"{path}: early_terminate is {early!r}; only its type hyperband is known")
    yield "sweep.pruner=hyperband"
    eta = _whole(early, "eta", path, least=2)
    if eta is not None:
        yield f"sweep.reduction_factor={eta}"
    if (least := _least_epochs(early, eta or _ETA, path)) is not None:
        yield f"sweep.min_resource={least}"
    unused = sorted(str(key) for key in early if key not in _HYPERBAND_KEYS)
    notes.extend(f"{path}: early_terminate.{key} is not used" for key in unused)


def _least_epochs(early: Mapping[str, Any], eta: int, path: Path) -> int | None:
    """The epochs of the first bracket: named, or as many as ``s`` brackets leave of the last."""
    least, most = _whole(early, "min_iter", path, least=1), _whole(early, "max_iter", path, least=1)
    if least is not None or most is None:
        return least
    brackets = _whole(early, "s", path, least=1)
    least_of_all: int = max(1, most // eta ** (brackets or 1))
    return least_of_all


def _whole(early: Mapping[str, Any], key: str, path: Path, *, least: int) -> int | None:
    value = early.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value) or value < least:
        raise UsageError(f"{path}: early_terminate.{key} is {value!r}; it must be a whole number from {least} on")
    return int(value)


def _metric(content: Mapping[str, Any], path: Path, notes: list[str]) -> Iterator[str]:
    metric = content.get("metric")
    if metric is None:
        return
    if not isinstance(metric, Mapping) or "name" not in metric:
        raise UsageError(f"{path}: metric has no name")
    yield f"sweep.metric={metric_name(str(metric['name']))}"
    goal = metric.get("goal")
    if goal is None:
        goal = "minimize"
        notes.append(
            f"{path}: metric has no goal, so {metric['name']} is minimised, as W&B does; or say goal: maximize"
        )
    if goal not in ("minimize", "maximize"):
        raise UsageError(f"{path}: goal is {goal!r}; it must be minimize or maximize")
    yield f"sweep.direction={goal}"
    notes.extend(f"{path}: metric.{key} is not used" for key in metric if key not in ("name", "goal"))


def metric_name(theirs: str) -> str:
    """Our name of a metric: ``validation_loss``, ``val_loss``, ``Val/Loss`` are ``val/loss``; others stay.

    >>> metric_name("validation_loss"), metric_name("acc"), metric_name("test/recall/cat")
    ('val/loss', 'val/accuracy', 'test/recall/cat')
    """
    words = theirs.lower().replace("/", " ").replace("_", " ").replace("-", " ").replace(".", " ").split()
    if len(words) == 1 and words[0] in _MEASURES:
        words = ["val", *words]
    if len(words) == 2 and words[0] in _SPLITS and words[1] in _MEASURES:
        return f"{_SPLITS[words[0]]}/{_MEASURES[words[1]]}"
    return theirs

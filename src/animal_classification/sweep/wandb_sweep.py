"""W&B's ``sweep.yaml`` in our own words: https://docs.wandb.ai/guides/sweeps/sweep-config-keys."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animal_classification.common.suggest import either, nearest
from animal_classification.config.fields import no_such, settings
from animal_classification.errors import UsageError
from animal_classification.sweep.wandb_early_terminate import stopping_words

# Names that people give to what has another name here.
_KEYS = {
    "learning_rate": "recipe.lr",
    "lr": "recipe.lr",
    "batchsize": "recipe.batch_size",
    "num_epochs": "recipe.epochs",
    "n_epochs": "recipe.epochs",
    "dropout_rate": "recipe.dropout",
    "optimizer": "optim.name",
    "image_size": "recipe.size",
    "img_size": "recipe.size",
    "hidden_size": "recipe.hidden",
}
# Parameters below these are of the optimizer: optimizer.name is optim.name.
_OPTIMIZERS = ("optimizer", "optim", "opt")
_OF_OPTIMIZERS = {"type": "name", "wd": "weight_decay"}
_METHODS = {"random": "random", "grid": "grid", "bayes": "tpe"}
_SPLITS = {"val": "val", "valid": "val", "validation": "val", "train": "train", "training": "train", "test": "test"}
_MEASURES = {"loss": "loss", "acc": "accuracy", "accuracy": "accuracy", "top5": "top5"}
_KNOWN = {"method", "metric", "parameters", "early_terminate", "run_cap", "name", "program", "command", "project"}
_KNOWN |= {"description", "entity", "job", "imageuri"}
_IGNORED = ("program", "command", "project", "entity", "job", "imageuri")
_MANY = 16
# Probabilities are kept as so many twentieths.
_SHARES = 20
# What a parameter may say, by its distribution; "distribution" itself is always read.
_BOUNDS = {"min", "max"}
_NORMAL = {"mu", "sigma"}
_READ = {
    "constant": {"value"},
    "categorical": {"values", "probabilities"},
    "uniform": _BOUNDS,
    "int_uniform": _BOUNDS,
    "q_uniform": {*_BOUNDS, "q"},
    "log_uniform": _BOUNDS,
    "log_uniform_values": _BOUNDS,
    "q_log_uniform_values": {*_BOUNDS, "q"},
    "normal": _NORMAL,
    "log_normal": _NORMAL,
}

Tried = dict[str, Any]
"""A range or a choice of the schema, as plain values."""


@dataclass(frozen=True)
class WandbSweep:
    """What the file asks for.

    Attributes:
        words: The same for ``compose``.
        notes: What was not taken as it stands, a line each.
    """

    words: tuple[str, ...]
    notes: tuple[str, ...]


def read(path: Path) -> WandbSweep:
    """Read a ``sweep.yaml``.

    Raises:
        UsageError: It cannot be read, or asks for what there is not.
    """
    content = _load(path)
    notes: list[str] = []
    words = [word for part in (_search, _metric, _parameters) for word in part(content, path, notes)]
    ignored = [key for key in _IGNORED if key in content]
    if ignored:
        notes.append(f"{path}: {', '.join(ignored)} not used; trials run in this process")
    unknown = sorted(set(map(str, content)) - _KNOWN)
    notes.extend(f"{path}: {key} is not known and not used" for key in unknown)
    return WandbSweep(tuple(words), tuple(notes))


def _load(path: Path) -> Mapping[str, Any]:
    import yaml

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
    yield from stopping_words(content.get("early_terminate"), path, notes)
    if content.get("run_cap") is not None:
        yield f"sweep.trials={content['run_cap']}"
    if content.get("name") is not None:
        yield f"sweep.study={content['name']}"


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


def _parameters(content: Mapping[str, Any], path: Path, notes: list[str]) -> Iterator[str]:
    for name, given in _flat(content["parameters"]):
        key = key_of(name, path)
        try:
            tried = _tried(_weighed(given, content, _noting(notes, f"{path}: {key}")), _noting(notes, f"{path}: {key}"))
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            reason = f"needs {error}" if isinstance(error, KeyError) else str(error)
            raise UsageError(f"{path}: {name}: {reason}") from error
        if set(tried) == {"value"}:
            yield f"{key}={_written(tried['value'])}"
        else:
            yield f"sweep.space.{key}={_written(tried)}"


def _noting(notes: list[str], what: str) -> Callable[[str], None]:
    return lambda note: notes.append(f"{what} {note}")


def _flat(parameters: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Parameters by name; nested ones joined by dots."""
    for name, given in parameters.items():
        inner = given.get("parameters") if isinstance(given, Mapping) else None
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", given


def key_of(name: str, path: Path) -> str:
    """The setting that a parameter is.

    Raises:
        UsageError: None, as far as can be told.
    """
    known = settings()
    if name in known and not known[name].part:
        return name
    parent, _, short = name.lower().replace("-", "_").rpartition(".")
    if parent.rpartition(".")[2] in _OPTIMIZERS:
        short = _OF_OPTIMIZERS.get(short, short)
        if short != "lr" and f"optim.{short}" in known:
            return f"optim.{short}"
    if short in _KEYS:
        return _KEYS[short]
    for part in ("recipe", "optim", "trainer", "data"):
        if f"{part}.{short}" in known:
            return f"{part}.{short}"
    raise UsageError(f"{path}: {no_such(name)}")


def _tried(given: Any, note: Callable[[str], None]) -> Tried:
    """One parameter.

    Raises:
        ValueError: A distribution that there is not.
        KeyError: Something is missing.
        TypeError: It is no mapping.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"is {given!r}; it must be value:, values:, or min: and max:")
    kind = given.get("distribution") or _kind(given)
    if kind not in _DISTRIBUTIONS:
        hint = nearest(str(kind), _DISTRIBUTIONS) or f"; there is {', '.join(_DISTRIBUTIONS)}"
        raise ValueError(f"distribution {kind!r} is not supported{hint}")
    for key in given:
        if key not in _READ[kind] and key != "distribution":
            note(f"does not use {key}")
    return _DISTRIBUTIONS[kind](given, note)


def _weighed(given: Any, content: Mapping[str, Any], note: Callable[[str], None]) -> Any:
    """Values that are as frequent as their probabilities, for a random search; W&B reads these for no other.

    Raises:
        ValueError: They are no probabilities of these values.
    """
    if not isinstance(given, Mapping) or "probabilities" not in given or "values" not in given:
        return given
    values, shares = list(given["values"]), [float(share) for share in given["probabilities"]]
    if len(values) != len(shares) or min(shares) < 0 or not math.isclose(sum(shares), 1, abs_tol=0.01):
        raise ValueError(f"probabilities {given['probabilities']!r} are not one for each value, with the sum 1")
    if content.get("method", "random") != "random":
        note("does not use probabilities; they are for the method random")
        return given
    counts = [max(1, round(share * _SHARES)) if share else 0 for share in shares]
    divisor = math.gcd(*counts)
    return {
        **given,
        "values": [value for value, count in zip(values, counts, strict=True) for _ in range(count // divisor)],
    }


def _kind(given: Mapping[str, Any]) -> str:
    """The distribution that W&B takes where none is named."""
    if "value" in given:
        return "constant"
    if "values" in given:
        return "categorical"
    whole = all(isinstance(given[end], int) for end in ("min", "max"))
    return "int_uniform" if whole else "uniform"


def _range(low: float, high: float, **more: Any) -> Tried:
    if low == high:
        return {"value": low}
    return {"low": low, "high": high, **more}


def _uniform(given: Mapping[str, Any], _: Callable[[str], None]) -> Tried:
    return _range(float(given["min"]), float(given["max"]))


def _int_uniform(given: Mapping[str, Any], _: Callable[[str], None]) -> Tried:
    return _range(int(given["min"]), int(given["max"]))


def _q_uniform(given: Mapping[str, Any], _: Callable[[str], None]) -> Tried:
    low, high, step = given["min"], given["max"], given.get("q", 1)
    if all(float(value).is_integer() for value in (low, high, step)):
        return _range(int(low), int(high), step=int(step))
    return _range(float(low), float(high), step=float(step))


def _log_values(given: Mapping[str, Any], _: Callable[[str], None]) -> Tried:
    return _range(float(given["min"]), float(given["max"]), log=True)


def _log(given: Mapping[str, Any], _: Callable[[str], None]) -> Tried:
    return _range(math.exp(float(given["min"])), math.exp(float(given["max"])), log=True)


def _q_log_values(given: Mapping[str, Any], note: Callable[[str], None]) -> Tried:
    low, high, step = float(given["min"]), float(given["max"]), float(given.get("q", 1))
    if low <= 0 or high <= low or step <= 0:
        raise ValueError("needs 0 < min < max and q > 0")
    spread = (low * (high / low) ** (number / (_MANY - 1)) for number in range(_MANY))
    rounded = sorted({max(round(value / step), 1) * step for value in spread})
    values = [int(value) if value.is_integer() else value for value in rounded]
    note(f"is tried at {', '.join(map(str, values))}")
    return {"values": values}


def _normal(given: Mapping[str, Any], note: Callable[[str], None]) -> Tried:
    middle, spread = float(given.get("mu", 0)), float(given.get("sigma", 1))
    low, high = middle - 2 * spread, middle + 2 * spread
    note(f"is tried evenly from {low:g} to {high:g}, two sigma around mu")
    return _range(low, high)


def _log_normal(given: Mapping[str, Any], note: Callable[[str], None]) -> Tried:
    middle, spread = float(given.get("mu", 0)), float(given.get("sigma", 1))
    low, high = math.exp(middle - 2 * spread), math.exp(middle + 2 * spread)
    note(f"is tried evenly on a log scale from {low:g} to {high:g}, two sigma around mu")
    return _range(low, high, log=True)


_DISTRIBUTIONS: dict[str, Callable[[Mapping[str, Any], Callable[[str], None]], Tried]] = {
    "constant": lambda given, _: {"value": _number(given["value"])},
    "categorical": lambda given, _: {"values": [_number(value) for value in given["values"]]},
    "uniform": _uniform,
    "int_uniform": _int_uniform,
    "q_uniform": _q_uniform,
    "log_uniform": _log,
    "log_uniform_values": _log_values,
    "q_log_uniform_values": _q_log_values,
    "normal": _normal,
    "log_normal": _log_normal,
}


def _number(value: Any) -> Any:
    """1e-3 is text to PyYAML, which wants 1.0e-3."""
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    return value


def _written(value: Any) -> str:
    """As Hydra reads it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_written(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(value)

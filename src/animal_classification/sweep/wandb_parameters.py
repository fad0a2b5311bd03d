"""The `parameters` of W&B's ``sweep.yaml`` in our own words: their names, distributions and probabilities."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from animal_classification.common.suggest import nearest
from animal_classification.config.fields import no_such, settings
from animal_classification.errors import UsageError

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
_MANY = 16
# Probabilities are rounded to twentieths.
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


def parameter_words(content: Mapping[str, Any], path: Path, notes: list[str]) -> Iterator[str]:
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
        UsageError: No setting matches.
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
        ValueError: The distribution is unknown.
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
    """Values that are as frequent as their probabilities, for a random search; W&B ignores them for other methods.

    Raises:
        ValueError: There is not one probability for each value, with the sum 1.
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

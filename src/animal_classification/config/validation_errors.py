"""What pydantic finds wrong with a configuration, as one line for a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from animal_classification.common.suggest import either
from animal_classification.config.fields import no_such, recipes, settings

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

Context = Mapping[str, Any]

_MUST_BE: dict[str, Callable[[Context], str]] = {
    "greater_than": lambda limits: f"above {limits['gt']:g}",
    "greater_than_equal": lambda limits: f"at least {limits['ge']:g}",
    "less_than": lambda limits: f"below {limits['lt']:g}",
    "less_than_equal": lambda limits: f"at most {limits['le']:g}",
    "finite_number": lambda _: "a finite number",
    "literal_error": lambda limits: str(limits["expected"]),
    "string_pattern_mismatch": lambda _: "letters, digits, '.', '_' and '-', and begin with a letter or digit",
    "string_too_short": lambda _: "some text",
    "too_short": lambda limits: f"a list of at least {limits['min_length']}",
    "too_long": lambda limits: f"a list of at most {limits['max_length']}",
}
# By how the name of the error begins.
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "tuple": "a list, such as [a,b]",
    "dict": "a mapping, such as {a: 1}",
    "model": "a mapping of settings",
}


def sentence(error: ValidationError, values: object) -> str:
    """The first thing wrong: key, value, and what it must be or which key was meant."""
    found = error.errors(include_url=False)
    first = found[0]
    path = _path(first, values)
    same = [other for other in found if _path(other, values) == path]
    if first["type"] == "extra_forbidden":
        return _extra(path, first["input"], values)
    key = _dotted(path)
    if first["type"] == "missing":
        return f"{key} is missing; {_supply(path)}"
    if first["type"] == "value_error":
        return f"{key or 'the configuration'}: {first['ctx']['error']}"
    if first["type"].startswith("union_tag"):
        return _tag(key, first)
    musts = dict.fromkeys(must for one in same for must in _must_be(one))
    return f"{key or 'the configuration'} is {_shown(first['input'])}; it must be {either(musts)}"


def _must_be(error: ErrorDetails) -> list[str]:
    """What would have been right, to follow "it must be"."""
    kind = error["type"]
    if kind in _MUST_BE:
        return [_MUST_BE[kind](error.get("ctx", {}))]
    if kind.startswith("bool"):
        return ["true", "false"]
    return [next((right for start, right in _KINDS.items() if kind.startswith(start)), error["msg"])]


def _extra(path: Sequence[str | int], value: object, values: object) -> str:
    """A key too many. A whole mapping too many is named by its innermost key, as it was written."""
    parts = list(path)
    while isinstance(value, Mapping) and len(value) == 1:
        (name, value), *_ = value.items()
        parts.append(str(name))
    if _is_group(path, values):
        return f"no such setting {path[0]!r}; a file that sets several groups begins with: # @package _global_"
    return no_such(_dotted(parts), _recipe(values))


def _is_group(path: Sequence[str | int], values: object) -> bool:
    return len(path) == 1 and isinstance(values, Mapping) and isinstance(values[path[0]], Mapping)


def _recipe(values: object) -> str | None:
    recipe = values.get("recipe") if isinstance(values, Mapping) else None
    name = recipe.get("name") if isinstance(recipe, Mapping) else None
    return name if isinstance(name, str) else None


def _tag(key: str, error: ErrorDetails) -> str:
    if error["type"] == "union_tag_not_found":
        return f"{key} is {_shown(error['input'])}; it needs a name: {either(recipes())}"
    return f"{key}.name is {error['ctx']['tag']!r}; it must be {either(recipes())}"


def _supply(path: Sequence[str | int]) -> str:
    key = _dotted(path)
    if key in settings() and settings()[key].part and len(path) == 1:
        return f"choose one with {key}=… or name it in the defaults of your train.yaml"
    return f"say {key}=…"


def _path(error: ErrorDetails, values: object) -> list[str | int]:
    """Where it is, without the tags that pydantic puts in for the members of unions."""
    path: list[str | int] = []
    node = values
    *most, last = error["loc"] or ("",)
    for part in most:
        if _holds(node, part):
            path.append(part)
            node = node[part]  # type: ignore[index]
    if error["type"] == "missing" or _holds(node, last):
        path.append(last)
    return path


def _holds(node: object, part: str | int) -> bool:
    if isinstance(node, Mapping):
        return part in node
    return isinstance(node, list | tuple) and isinstance(part, int) and part < len(node)


def _dotted(path: Sequence[str | int]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _shown(value: object) -> str:
    """A value as it is written in YAML, cut short where it is long."""
    text = {None: "null", True: "true", False: "false"}.get(value) if isinstance(value, bool | None) else None
    text = text or repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

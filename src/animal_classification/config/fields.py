"""All settings by their dotted keys, read off the schema: which exist, which recipe has them, which are plain text."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from animal_classification.common.suggest import FEW, alike, close, did_you_mean, distance
from animal_classification.config.schema import Config

SPACE = "sweep.space"  # its keys are settings themselves


@dataclass(frozen=True)
class Setting:
    """One key.

    Attributes:
        key: With dots.
        recipes: Those that have it; empty where all have.
        text: Any text is a value, so what stands on the command line needs no quotes.
        part: It holds other settings.
    """

    key: str
    recipes: tuple[str, ...] = ()
    text: bool = False
    part: bool = False


@cache
def settings() -> dict[str, Setting]:
    """All settings, by key."""
    found: dict[str, Setting] = {}
    for setting in _walk(Config, "", ()):
        known = found.get(setting.key)
        recipes = setting.recipes if known is None else known.recipes + setting.recipes
        found[setting.key] = Setting(setting.key, recipes, setting.text, setting.part)
    return found


def recipes() -> tuple[str, ...]:
    """The names of all recipes."""
    return tuple(_name_of(recipe) for recipe in _models(Config.model_fields["recipe"].annotation))


def no_such(key: str, recipe: str | None = None) -> str:
    """What to say of a key that is none, or none of this recipe's.

    >>> no_such("recipe.lrr")
    "no such setting 'recipe.lrr'; did you mean 'recipe.lr'?"
    """
    known = settings()
    if key in known:
        owners = " and ".join(f"recipe={name}" for name in known[key].recipes)
        return f"recipe={recipe} has no {key!r}; {owners} {'have' if ' ' in owners else 'has'} it"
    return f"no such setting {key!r}{did_you_mean(_meant(key, recipe))}"


def _meant(key: str, recipe: str | None) -> list[str]:
    """What was probably meant: a key that is spelt like it; the value it begins with; a key that ends like it."""
    known = settings()
    begun = next((name for name in _beginnings(key) if name in known), None)
    if begun is not None and not known[begun].part:
        return [begun]
    near = close(key, known)
    ours = [name for name in near if not known[name].recipes or recipe in known[name].recipes]
    return ours or near or _with_the_same_end(key) or _resembling(key, begun)


def _with_the_same_end(key: str) -> list[str]:
    """``recipe.lr`` and ``optim.lr`` of ``lr``; ``optim.lr`` of ``opt.lr``, whose beginning is like its own."""
    ends = {name: name.rpartition(".")[2] for name in settings()}
    end = key.rpartition(".")[2]
    alike = [end] if end in ends.values() or "." in key else close(end, set(ends.values()))
    found = [name for name in ends if ends[name] in alike]
    return [name for name in found if distance(name, key) <= FEW] or found


def _resembling(key: str, parent: str | None) -> list[str]:
    """A key of the same parent that looks like it, however many letters differ."""
    start = f"{parent}." if parent else ""
    return alike(key, [name for name in settings() if name.startswith(start) and "." not in name[len(start) :]])


def _beginnings(key: str) -> Iterator[str]:
    """``a.b``, then ``a``, of ``a.b.c``."""
    while "." in key:
        key = key.rpartition(".")[0]
        yield key


def _walk(model: type[BaseModel], prefix: str, recipes: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        parts = [] if key == SPACE else _models(field.annotation)
        yield Setting(key, recipes, text=_is_text(field.annotation), part=bool(parts))
        for part in parts:
            owners = (_name_of(part),) if len(parts) > 1 else recipes
            yield from _walk(part, f"{key}.", owners)


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [kind for kind in _members(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _is_text(annotation: Any) -> bool:
    return {kind for kind in _members(annotation) if kind is not type(None)} == {str}


def _members(annotation: Any) -> list[Any]:
    """What a union is made of; an annotation alone where it is none."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [member for argument in get_args(annotation) for member in _members(argument)]
    return [annotation]


def _name_of(recipe: type[BaseModel]) -> str:
    literal = recipe.model_fields["name"].annotation
    assert get_origin(literal) is Literal
    return str(get_args(literal)[0])

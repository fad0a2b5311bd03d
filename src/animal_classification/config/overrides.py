"""The words of a command line, checked and put into Hydra's grammar.

Hydra asks for a ``+`` before a key that no file holds and for quotes around most text. Here the schema says which keys
exist, so each of them can be set, and text is taken literally.
"""

# Imported where they are used: Hydra takes 0.1 s to load, and most words need none of its grammar.

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.suggest import either, nearest
from animal_classification.config.fields import SPACE, no_such, recipes, settings
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

_WORD = re.compile(r"(?P<sign>\+\+|\+|~)?(?P<key>[^=]*?)\s*(?P<equals>=\s*(?P<value>.*))?", re.DOTALL)
_DEFAULT_RECIPE = "probe"
_MOST_VALUES = 10_000

Choices = Mapping[str, Sequence[str]]
"""Groups, and what can be chosen in each."""


@dataclass(frozen=True)
class Assignment:
    """One word of the command line, such as ``recipe.lr=0.1``."""

    text: str
    sign: str
    key: str
    value: str | None

    @classmethod
    def read(cls, text: str) -> Assignment:
        """Take a word apart.

        Raises:
            UsageError: It has no key, or no value.
        """
        match = _WORD.fullmatch(text)
        assert match is not None, "everything in it may be empty"
        word = cls(text, match["sign"] or "", match["key"].strip(), match["value"])
        if word.sign == "~" and word.key:
            return word
        if match["equals"] is None:
            raise UsageError(f"{text!r} is no setting: {_without_equals(word)}")
        if not word.key:
            raise UsageError(f"{text!r} names no setting; write key=value")
        return word


def hydra_overrides(
    texts: Sequence[str], choices: Choices, *, own_root: bool = False, sweeping: bool = False
) -> list[str]:
    """The overrides in Hydra's grammar.

    Args:
        texts: ``key=value``, ``group=choice``, ``~key``; a ``+`` before a key is allowed and never needed.
        choices: What can be chosen.
        own_root: The user has a ``train.yaml``, which may choose from groups that ours does not know.
        sweeping: Several values for a key, in Hydra's grammar of sweeps, go to ``sweep.space``.

    Raises:
        UsageError: A word is wrong; names the nearest right one.
    """
    words = [Assignment.read(text) for text in texts]
    recipe = _chosen_recipe(words)
    if sweeping:
        words = [_as_space(word) for word in words]
    words = [
        word for index, word in enumerate(words) if not any(_replaces(later, word) for later in words[index + 1 :])
    ]
    return [_translate(word, choices, recipe, own_root=own_root) for word in words]


def quoted(text: str) -> str:
    """Text that Hydra's grammar takes literally."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text, Quote.single).with_quotes()


def _replaces(later: Assignment, word: Assignment) -> bool:
    """A later word gives a key another space or a fixed value; Hydra would merge the two."""
    return word.key.startswith(f"{SPACE}.") and later.key in (SPACE, word.key, word.key.removeprefix(f"{SPACE}."))


def _as_space(word: Assignment) -> Assignment:
    """``seed=1,2`` becomes ``sweep.space.seed={values: [1,2]}``; other words stay."""
    known = settings().get(word.key)
    if known is None or known.text or known.part or word.value is None:
        return word
    override = _parse(word, f"++{word.key}={word.value}")
    if not override.is_sweep_override():
        return word
    return Assignment(word.text, "", f"{SPACE}.{word.key}", _range_or_choice(override))


def _range_or_choice(override: Override) -> str:
    """Hydra's ``1,2``, ``range(1,9)`` or ``tag(log, interval(0.1, 1))`` as ``sweep.space`` takes it.

    Raises:
        UsageError: It is a pattern of choices, or too many values.
    """
    from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, RangeSweep

    sweep = override.value()
    if isinstance(sweep, IntervalSweep):
        log = ", log: true" if "log" in sweep.tags else ""
        return f"{{low: {sweep.start}, high: {sweep.end}{log}}}"
    if not isinstance(sweep, (ChoiceSweep, RangeSweep)):
        raise UsageError(f"{override.input_line} cannot be tried; name the values: {override.key_or_group}=a,b")
    values = list(islice(override.sweep_string_iterator(), _MOST_VALUES + 1))
    if len(values) > _MOST_VALUES:
        raise UsageError(f"{override.input_line} is more than {_MOST_VALUES} values; give an interval(low, high)")
    return f"{{values: [{','.join(values)}]}}"


def _chosen_recipe(words: Sequence[Assignment]) -> str | None:
    """The recipe, as far as the words tell: a user's own choice can be any of them."""
    chosen = [word.value for word in words if word.key == "recipe"]
    if not chosen:
        return _DEFAULT_RECIPE
    return chosen[-1] if chosen[-1] in recipes() else None


def _translate(word: Assignment, choices: Choices, recipe: str | None, *, own_root: bool) -> str:
    if word.key in choices and not (word.value or "").lstrip().startswith("{"):
        return _choice(word, choices[word.key], own_root=own_root)
    if word.key.startswith(f"{SPACE}."):
        return _space(word, recipe)
    if word.key == "recipe.name":
        raise UsageError(f"recipe.name is not set by itself; choose with recipe={either(recipes())}")
    if word.key not in settings():
        raise UsageError(_unknown(word, choices, recipe))
    return f"~{word.key}" if word.sign == "~" else _assignment(word)


def _choice(word: Assignment, known: Sequence[str], *, own_root: bool) -> str:
    ours = word.key in settings()
    if word.sign == "~":
        if ours:
            raise UsageError(f"{word.text}: every run needs a {word.key!r}; choose {either(known)}")
        return word.text
    value = (word.value or "").strip()
    names = [value] if ours or not value.startswith("[") else re.split(r"\s*,\s*", value.strip("[] "))
    for name in names:
        if name not in known:
            raise UsageError(_no_such_choice(word.key, name, known))
    sign = "" if ours else word.sign if own_root else "+"
    return f"{sign}{word.key}={value}"


def _no_such_choice(group: str, name: str, known: Sequence[str]) -> str:
    if group == "data" and _is_there(name):
        return f"data={name} names no choice; did you mean data.path={name}?"
    if "," in name:
        return f"{group} is one of {either(known)}, not several ({name!r})"
    return f"no such {group} {name!r}; there is {', '.join(known)}{nearest(name, known)}"


def _unknown(word: Assignment, choices: Choices, recipe: str | None) -> str:
    if "/" in word.key or "@" in word.key or (word.key not in choices and word.sign == "+" and "." not in word.key):
        hint = nearest(word.key, choices) or nearest(word.key, settings()) or f"; there is {', '.join(choices)}"
        return f"no such group {word.key!r}{hint}"
    return no_such(word.key, recipe)


def _assignment(word: Assignment) -> str:
    value = word.value or ""
    if settings()[word.key].text and not _is_special(value):
        return f"++{word.key}={quoted(value)}"
    if _parse(word, f"++{word.key}={value}").is_sweep_override():
        raise UsageError(
            f"{word.key}={value} is several values; one is needed (a list is [1,2]; animals sweep tries several)"
        )
    return f"++{word.key}={value}"


def _space(word: Assignment, recipe: str | None) -> str:
    """``sweep.space.recipe.lr={low: 0.1, high: 1}``: what follows the space is one key with dots, not four levels."""
    key = word.key.removeprefix(f"{SPACE}.")
    if key not in settings():
        raise UsageError(f"{SPACE}: {no_such(key, recipe)}")
    override = f"++{SPACE}={{{key}: {word.value}}}"
    _parse(word, override)
    return override


def _parse(word: Assignment, override: str) -> Override:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        (parsed,) = OverridesParser.create().parse_overrides([override])
    except (HydraException, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(
            f"{word.key}: {word.value!r} is not a value; lists are written [1,2], mappings {{a: 1}}, "
            "and text with other signs goes in quotes within the quotes of the shell"
        ) from error
    return parsed


def _is_special(text: str) -> bool:
    """Null, a reference or quoted text: not to be taken literally."""
    return text.strip() == "null" or "${" in text or text.lstrip()[:1] in ("'", '"')


def _without_equals(word: Assignment) -> str:
    if _is_there(word.text):
        return f"did you mean data.path={word.text}?"
    if word.key in settings():
        return f"it has no value; write {word.key}=VALUE"
    return "settings are written key=value"


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False

"""What stands on the command line, checked and put into Hydra's words.

Hydra asks for a ``+`` before a key that a file does not hold, for quotes around most characters, and explains itself in
many lines. Here the schema says which keys there are, so any of them can be set, and text is taken as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.common.suggest import either, nearest
from animal_classification.config.fields import SPACE, no_such, recipes, settings
from animal_classification.config.sweep_syntax import tried
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

_WORD = re.compile(r"(?P<sign>\+\+|\+|~)?(?P<key>[^=]*?)\s*(?P<equals>=\s*(?P<value>.*))?", re.DOTALL)
_DEFAULT_RECIPE = "probe"

Choices = Mapping[str, Sequence[str]]
"""Groups, and what may be chosen in each."""


@dataclass(frozen=True)
class Assignment:
    """One word of the command line, such as ``recipe.lr=0.1``."""

    text: str
    sign: str
    key: str
    value: str | None

    @classmethod
    def read(cls, text: str) -> Assignment:
        """Take it apart.

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


def in_hydras_words(
    texts: Sequence[str], choices: Choices, *, own_root: bool = False, sweeping: bool = False
) -> list[str]:
    """The overrides for Hydra.

    Args:
        texts: ``key=value``, ``group=choice``, ``~key``; a ``+`` may stand before any of them, and need not.
        choices: What may be chosen.
        own_root: The user has a ``train.yaml``, which may choose from groups that ours does not know.
        sweeping: Several values for a key, in the words of Hydra's own sweeps, go to ``sweep.space``.

    Raises:
        UsageError: A word that cannot be; names the nearest right one.
    """
    words = [Assignment.read(text) for text in texts]
    recipe = _recipe_of(words)
    if sweeping:
        words = [_as_space(word) for word in words]
    words = [
        word for index, word in enumerate(words) if not any(_replaces(later, word) for later in words[index + 1 :])
    ]
    return [_translate(word, choices, recipe, own_root=own_root) for word in words]


def _replaces(later: Assignment, word: Assignment) -> bool:
    """What is tried for a key is said anew, or the key gets a fixed value; Hydra would mix the two."""
    return word.key.startswith(f"{SPACE}.") and later.key in (SPACE, word.key, word.key.removeprefix(f"{SPACE}."))


def _as_space(word: Assignment) -> Assignment:
    """``sweep.space.seed={values: [1,2]}`` of ``seed=1,2``; others as they are."""
    known = settings().get(word.key)
    if known is None or known.text or known.part or word.value is None:
        return word
    parsed = _parse(word, f"++{word.key}={word.value}")
    if not parsed.is_sweep_override():
        return word
    return Assignment(word.text, "", f"{SPACE}.{word.key}", tried(parsed))


def _recipe_of(words: Sequence[Assignment]) -> str | None:
    """The recipe that is chosen, as far as words can tell: a user's own may be any."""
    asked = [word.value for word in words if word.key == "recipe"]
    if not asked:
        return _DEFAULT_RECIPE
    return asked[-1] if asked[-1] in recipes() else None


def _translate(word: Assignment, choices: Choices, recipe: str | None, *, own_root: bool) -> str:
    if word.key in choices and not _is_mapping(word.value):
        return _choice(word, choices[word.key], own_root=own_root)
    if word.key.startswith(f"{SPACE}."):
        return _tried(word, recipe)
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
    wanted = [value] if ours or not value.startswith("[") else re.split(r"\s*,\s*", value.strip("[] "))
    for choice in wanted:
        if choice not in known:
            raise UsageError(_no_choice(word.key, choice, known))
    sign = "" if ours else word.sign if own_root else "+"
    return f"{sign}{word.key}={value}"


def _no_choice(group: str, choice: str, known: Sequence[str]) -> str:
    if group == "data" and _is_there(choice):
        return f"data={choice} names no choice; did you mean data.path={choice}?"
    if "," in choice:
        return f"{group} is one of {either(known)}, not several ({choice!r})"
    return f"no such {group} {choice!r}; there is {', '.join(known)}{nearest(choice, known)}"


def _unknown(word: Assignment, choices: Choices, recipe: str | None) -> str:
    if "/" in word.key or "@" in word.key or (word.key not in choices and word.sign == "+" and "." not in word.key):
        hint = nearest(word.key, choices) or nearest(word.key, settings()) or f"; there is {', '.join(choices)}"
        return f"no such group {word.key!r}{hint}"
    return no_such(word.key, recipe)


def _assignment(word: Assignment) -> str:
    value = word.value or ""
    if settings()[word.key].text and not _is_special(value):
        return f"++{word.key}={_quoted(value)}"
    parsed = _parse(word, f"++{word.key}={value}")
    if parsed.is_sweep_override():
        raise UsageError(
            f"{word.key}={value} is several values; one is needed (a list is [1,2]; animals sweep tries several)"
        )
    return f"++{word.key}={value}"


def _tried(word: Assignment, recipe: str | None) -> str:
    """``sweep.space.recipe.lr={low: 0.1, high: 1}``: the rest of the key is a key itself, not four levels of them."""
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
    """It means something else than itself: nothing, a reference, or what is in its quotes."""
    return text.strip() == "null" or "${" in text or text.lstrip()[:1] in ("'", '"')


def _is_mapping(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip().startswith("{")


def _quoted(text: str) -> str:
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text, Quote.single).with_quotes()


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

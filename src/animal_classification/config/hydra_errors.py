"""What Hydra, OmegaConf and PyYAML say, as one line for a person."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from animal_classification.common.suggest import nearest

if TYPE_CHECKING:
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

_FULL_KEY = re.compile(r"full_key: (\S+)")
_OPTIONS = re.compile(r"Available options in '(.*)':\n((?:\t\S+\n)*)")
_NOT_FOUND = re.compile(r"In '(.*)': Could not (?:find|load) '(.*)'")


def composition(error: Exception) -> str:
    """Why a tree could not be put together."""
    from hydra.errors import MissingConfigException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    cause = error.__cause__ if not str(error) and error.__cause__ is not None else error
    if isinstance(cause, OmegaConfBaseException):
        return unresolved(cause)
    if isinstance(cause, MissingConfigException):
        return _not_found(str(cause))
    if isinstance(cause, YAMLError):
        return _broken(cause)
    if isinstance(cause, RecursionError):
        return "the configuration files go in a circle: one that its own defaults lead back to"
    reason = in_a_line(str(cause)) or type(cause).__name__
    if isinstance(cause, UnicodeDecodeError):
        reason = f"a file is not UTF-8 text ({cause.reason} at byte {cause.start})"
    if isinstance(cause, OSError) and cause.filename:
        reason = f"cannot read {str(cause.filename)!r}: {cause.strerror}"
    return f"the configuration cannot be composed: {reason}"


def unresolved(error: OmegaConfBaseException) -> str:
    """Why a value could not be had."""
    from omegaconf.errors import GrammarParseError, InterpolationResolutionError, MissingMandatoryValue

    message = str(error)
    found = _FULL_KEY.search(message)
    key = found[1] if found else "the configuration"
    reason = in_a_line(message)
    if isinstance(error, MissingMandatoryValue):
        return f"{key} has no value; say {key}=…"
    if isinstance(error, (GrammarParseError, InterpolationResolutionError)):
        reason = reason.removeprefix("KeyError raised while resolving interpolation: ").strip('"')
        return f"{key} refers to something that cannot be had: {reason[:1].lower()}{reason[1:]}"
    return f"{key} cannot be set: {reason[:1].lower()}{reason[1:]}"


def in_a_line(message: str) -> str:
    """The first line, which is what happened; the others say where in Hydra, or advise what does not hold here."""
    return message.strip().partition("\n")[0].rstrip(".")


def _not_found(message: str) -> str:
    found = _NOT_FOUND.match(message)
    if found is None:
        return in_a_line(message)
    where, wanted = found.groups()
    options = _OPTIONS.search(message)
    known = options[2].split() if options else []
    there = f"; there is {', '.join(known)}{nearest(wanted.rpartition('/')[2], known)}" if known else ""
    return f"{where}.yaml asks for {wanted + '.yaml'!r}, which is not there{there}"


def _broken(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        name = getattr(error, "name", None) or "a configuration file"
        return f"{name} is no YAML: {getattr(error, 'reason', None) or in_a_line(str(error))}"
    problem = getattr(error, "problem", None) or "it cannot be read"
    return f"{mark.name} is no YAML: line {mark.line + 1}, column {mark.column + 1}: {problem}"

"""From words on the command line to a checked configuration."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.config.schema import Config
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from pydantic import ValidationError

ROOT = "train"
_TREE = "animal_classification.config.tree"


def compose(overrides: Sequence[str] = (), *, config_dir: Path | None = None) -> Config:
    """Compose the tree with overrides, and check the result.

    Args:
        overrides: Hydra's: ``key=value``, ``group=choice``, ``+key=value``.
        config_dir: A user's own tree, whose groups and choices come first.

    Raises:
        UsageError: A key, a choice or a value that cannot be; names the key and the nearest right one.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    raw = _compose(overrides, config_dir)
    try:
        values: Any = OmegaConf.to_container(raw, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UsageError(_first_line(error)) from error
    return checked(values)


def checked(values: dict[str, Any]) -> Config:
    """Check plain values, as they stand in a run's ``config.yaml``.

    Raises:
        UsageError: Names the key, what it is and what it may be.
    """
    from pydantic import ValidationError

    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UsageError(_sentence(error)) from error


def as_yaml(config: Config) -> str:
    """The configuration as YAML that ``checked`` reads back."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json", by_alias=True)))


def _compose(overrides: Sequence[str], config_dir: Path | None) -> DictConfig:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from hydra.errors import HydraException

    search = [] if config_dir is None else [f"hydra.searchpath=[file://{config_dir.absolute()}]"]
    with initialize_config_module(_TREE, version_base="1.3"):
        try:
            return hydra_compose(ROOT, [*search, *overrides])
        except HydraException as error:
            raise UsageError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    return f"{key}: {first['msg']} (got {first['input']!r})"


def nearest(word: str, known: Sequence[str]) -> str:
    """``; did you mean 'x'?``, or nothing."""
    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""

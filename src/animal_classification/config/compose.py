"""From words on the command line to a checked configuration: `compose` is the way in."""

# Imported where they are used: Hydra and OmegaConf take 0.1 s to load, and what reads a finished run needs neither.

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from animal_classification.config import error_lines
from animal_classification.config.overrides import hydra_overrides, quoted
from animal_classification.config.schema import Config
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from omegaconf import DictConfig

ROOT = "train"
_ROOT_MODULE = "animal_classification.config"
_TREE = "pkg://animal_classification.config.tree"
_FILES = Path(__file__).parent / "tree"
_HYDRA = "1.3"  # whose rules for configuration files hold
_one_at_a_time = threading.Lock()  # Hydra's state is the process's


@dataclass(frozen=True)
class Tree:
    """A composed tree with its references unresolved, so that what refers to a value changes with it."""

    raw: DictConfig

    def config(self, values: Mapping[str, object] | None = None) -> Config:
        """The checked configuration, with some values replaced.

        Args:
            values: By dotted keys, but for those of ``sweep.space``.

        Raises:
            UsageError: A value is not allowed; names its key.
        """
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        raw = self.raw
        try:
            if values:
                raw = copy.deepcopy(raw)
                for key, value in values.items():
                    OmegaConf.update(raw, key, value, force_add=True)
            plain: Any = OmegaConf.to_container(raw, resolve=True, throw_on_missing=True)
        except OmegaConfBaseException as error:
            raise UsageError(error_lines.unresolved(error)) from error
        return checked(plain)


def compose(overrides: Sequence[str] = (), *, config_dir: Path | None = None) -> Config:
    """Compose the tree with overrides, and check the result.

    Args:
        overrides: ``key=value``, ``group=choice``, ``+experiment=name``, ``~key``.
        config_dir: A user's own tree, whose root, groups and choices come first.

    Raises:
        UsageError: A key, a choice or a value is wrong; names the key and the nearest right one.
    """
    return tree(overrides, config_dir=config_dir).config()


def tree(overrides: Sequence[str] = (), *, config_dir: Path | None = None, sweeping: bool = False) -> Tree:
    """The composed tree, before it is resolved and checked.

    Args:
        overrides: As for ``compose``.
        config_dir: As for ``compose``.
        sweeping: Several values for a key, such as ``recipe.lr=0.1,0.2``, go to ``sweep.space``.

    Raises:
        UsageError: As ``compose``, but for values.
    """
    if config_dir is not None and not config_dir.is_dir():
        raise UsageError(f"--config-dir {str(config_dir)!r} is no folder")
    own_root = config_dir is not None and (config_dir / f"{ROOT}.yaml").is_file()
    words = hydra_overrides(overrides, choices(config_dir), own_root=own_root, sweeping=sweeping)
    return Tree(_compose(words, config_dir, own_root=own_root))


def checked(values: Mapping[str, Any]) -> Config:
    """Check plain values, such as those of a run's ``config.yaml``.

    Raises:
        UsageError: Names the key, its value and what is allowed.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UsageError(error_lines.invalid(error, values)) from error


def as_yaml(config: Config) -> str:
    """The configuration as YAML that ``checked`` reads back."""
    # Not OmegaConf's: it would take "${" in a value for a reference.
    text: str = yaml.safe_dump(config.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)
    return text


def choices(config_dir: Path | None = None) -> dict[str, tuple[str, ...]]:
    """The groups by name, and what can be chosen in each: the user's files together with ours."""
    found: dict[str, set[str]] = {}
    for folder in (_FILES, config_dir):
        if folder is not None:
            for file in folder.rglob("*.yaml"):
                group = file.parent.relative_to(folder).as_posix()
                if group != "." and file.is_file():
                    found.setdefault(group, set()).add(file.stem)
    return {group: tuple(sorted(names)) for group, names in sorted(found.items())}


def _compose(overrides: list[str], config_dir: Path | None, *, own_root: bool) -> DictConfig:
    """Let Hydra compose.

    Raises:
        UsageError: What Hydra says, in one line.
    """
    import hydra
    from omegaconf import OmegaConf

    # Hydra looks where the root is, then along this path: a user's files before ours.
    folders = [_TREE] if config_dir is None else [f"file://{config_dir.absolute()}", _TREE]
    searched = f"hydra.searchpath=[{','.join(map(quoted, folders))}]"
    try:
        with _hydra(config_dir if own_root else None):
            raw = hydra.compose(ROOT, [*overrides, searched])
    except Exception as error:  # of many kinds, all about what the user wrote
        raise UsageError(error_lines.not_composed(error)) from error
    for group in choices():
        if group in raw and not OmegaConf.is_dict(raw[group]):
            raise UsageError(f"{group} is {str(raw[group])!r}; the file that is chosen must hold settings, key: value")
    return raw


@contextmanager
def _hydra(root: Path | None) -> Iterator[None]:
    """Hydra, initialised for the folder of a user's root or for ours; its global state is afterwards as it was.

    The caller may be an application of Hydra itself.
    """
    from hydra import initialize_config_dir, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    with _one_at_a_time:
        outer = GlobalHydra.instance().hydra
        GlobalHydra.instance().clear()
        try:
            if root is None:
                initialized: Any = initialize_config_module(_ROOT_MODULE, version_base=_HYDRA)
            else:
                initialized = initialize_config_dir(str(root.absolute()), version_base=_HYDRA)
            with initialized:
                yield
        finally:
            if outer is not None:
                GlobalHydra.instance().initialize(outer)

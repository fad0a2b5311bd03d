"""From words on the command line to a checked configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.common.suggest import nearest
from animal_classification.config.hydra_errors import composition, unresolved
from animal_classification.config.overrides import in_hydras_words
from animal_classification.config.schema import Config
from animal_classification.config.validation_errors import sentence
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from omegaconf import DictConfig

__all__ = ["Tree", "as_yaml", "checked", "compose", "nearest", "tree"]

ROOT = "train"
_TREE = "animal_classification.config.tree"
_HERE = Path(__file__).parent / "tree"


@dataclass(frozen=True)
class Tree:
    """A composed tree whose references are not resolved yet, so that what hangs on a value changes with it."""

    raw: DictConfig

    def config(self, values: Mapping[str, object] | None = None) -> Config:
        """What it says, with some values in the place of its own.

        Args:
            values: By dotted keys. A key of ``sweep.space`` is none.

        Raises:
            UsageError: A value that cannot be; names the key and the nearest right one.
        """
        import copy

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
            raise UsageError(unresolved(error)) from error
        return checked(plain)


def compose(overrides: Sequence[str] = (), *, config_dir: Path | None = None) -> Config:
    """Compose the tree with overrides, and check the result.

    Args:
        overrides: ``key=value``, ``group=choice``, ``+experiment=name``, ``~key``.
        config_dir: A user's own tree, whose root, groups and choices come first.

    Raises:
        UsageError: A key, a choice or a value that cannot be; names the key and the nearest right one.
    """
    return tree(overrides, config_dir=config_dir).config()


def tree(overrides: Sequence[str] = (), *, config_dir: Path | None = None, sweeping: bool = False) -> Tree:
    """The composed tree, before it is resolved and checked.

    Args:
        overrides: As for ``compose``.
        config_dir: As for ``compose``.
        sweeping: Several values for a key, such as ``recipe.lr=0.1,0.2``, are what ``sweep.space`` tries.

    Raises:
        UsageError: As ``compose``, but for values.
    """
    own_root = False
    if config_dir is not None:
        if not config_dir.is_dir():
            raise UsageError(f"--config-dir {str(config_dir)!r} is no folder")
        own_root = (config_dir / f"{ROOT}.yaml").is_file()
    words = in_hydras_words(overrides, choices(config_dir), own_root=own_root, sweeping=sweeping)
    return Tree(_compose(words, config_dir))


def checked(values: Mapping[str, Any]) -> Config:
    """Check plain values, as they stand in a run's ``config.yaml``.

    Raises:
        UsageError: Names the key, what it is and what it may be.
    """
    from pydantic import ValidationError

    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UsageError(sentence(error, values)) from error


def as_yaml(config: Config) -> str:
    """The configuration as YAML that ``checked`` reads back."""
    import yaml

    # Not OmegaConf's: it would take "${" in a value for a reference.
    text: str = yaml.safe_dump(config.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)
    return text


def choices(config_dir: Path | None = None) -> dict[str, tuple[str, ...]]:
    """Groups by name, and what may be chosen in each, the user's with ours."""
    found: dict[str, set[str]] = {}
    for folder in (_HERE, config_dir):
        if folder is not None:
            for file in folder.rglob("*.yaml"):
                group = file.parent.relative_to(folder).as_posix()
                if group != "." and file.is_file():
                    found.setdefault(group, set()).add(file.stem)
    return {group: tuple(sorted(names)) for group, names in sorted(found.items())}


def _compose(words: Sequence[str], config_dir: Path | None) -> DictConfig:
    """Hydra's own work, without its global state.

    Raises:
        UsageError: Whatever it says, in a line.
    """
    from hydra.types import RunMode
    from omegaconf import OmegaConf, open_dict

    try:
        raw = _loader(config_dir).load_configuration(ROOT, list(words), run_mode=RunMode.RUN, from_shell=False)
    except Exception as error:  # it raises many kinds, and all are about what the user wrote
        raise UsageError(composition(error)) from error
    with open_dict(raw):
        raw.pop("hydra", None)
    for group in choices():
        if group in raw and not OmegaConf.is_dict(raw[group]):
            raise UsageError(f"{group} is {str(raw[group])!r}; the file that is chosen must hold settings, key: value")
    return raw


def _loader(config_dir: Path | None) -> ConfigLoader:
    """Hydra's loader of trees, looking at the user's files first.

    Not ``hydra.compose``, which keeps a global, and in which files beside the package's own come last.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
    from hydra.core.plugins import Plugins

    Plugins.instance()  # finds what reads pkg:// and file://
    places = ConfigSearchPathImpl()
    places.append("hydra", "pkg://hydra.conf")
    if config_dir is not None:
        places.append("user", f"file://{config_dir.absolute()}")
    places.append("main", f"pkg://{_TREE}")
    places.append("schema", "structured://")
    return ConfigLoaderImpl(config_search_path=places)

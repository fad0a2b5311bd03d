"""What every step of the loop works with: configuration, ledger, log, photos, registry and the clock."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.common.progress import Progress, silent
from animal_classification.config.compose import tree
from animal_classification.errors import UsageError
from animal_classification.loop.cycle import Cycle, cycles_of
from animal_classification.loop.ledger import Ledger, Transition
from animal_classification.loop.series import Series, open_series
from animal_classification.prediction_log.database import connect, require_database
from animal_classification.prediction_log.location import LogLocation, log_location
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.photo_store import photos_at
from animal_classification.registry.model_version import PRODUCTION
from animal_classification.registry.store import Registry
from animal_classification.settings import Settings
from animal_classification.training.run import code_version

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from animal_classification.config.schema import Config
    from animal_classification.data.manifest import Manifest
    from animal_classification.loop.config import LoopConfig
    from animal_classification.prediction_log.photo_store import PhotoStore
    from animal_classification.registry.model_version import Version


def machine_user() -> str:
    """Who works here, for the ledger."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        return f"?@{socket.gethostname()}"


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What steps work with.

    Attributes:
        config: What is set.
        engine: The log's database.
        photos: Where the log keeps photos.
        ledger: The transitions.
        agreed: A person agrees to what waits for one.
        by: Who works.
        progress: Told what is being done.
        clock: The time.
    """

    config: LoopConfig
    engine: Engine
    photos: PhotoStore
    ledger: Ledger
    agreed: bool = False
    by: str = field(default_factory=machine_user)
    progress: Progress = silent
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def home(self) -> Path:
        """The loop's folder."""
        return self.config.home

    @property
    def registry(self) -> Registry:
        """Of the models.

        Raises:
            RegistryError: It is not there.
        """
        return Registry.open(self.config.registry)

    def production(self) -> Version:
        """The version in production.

        Raises:
            UsageError: There is none.
        """
        found = self.registry.with_alias(self.config.model, PRODUCTION)
        if found is None:
            name = self.config.model
            raise UsageError(
                f"no version of {name!r} is in production, so that there is nothing to improve: animals train "
                f"name={name} data.path=…, then animals models promote {name}"
            )
        return found

    def cycles(self) -> list[Cycle]:
        """All cycles."""
        return cycles_of(self.ledger.transitions())

    def series(self) -> Series:
        """The photos that models are judged on."""
        return open_series(self.home, self.training(), self.progress)

    def data(self, cycles: list[Cycle], series: Series) -> Manifest:
        """All photos so far: those of the last cycle of this series that has collected."""
        for cycle in reversed(cycles):
            found = cycle.decision("collected")
            if found.get("series") == series.number:
                return type(series.base()).read(found["manifest"])
        return series.base()

    def training(self, values: dict[str, Any] | None = None) -> Config:
        """The training's configuration, on the loop's photos.

        Raises:
            UsageError: A setting under ``train`` is wrong.
        """
        words = (*self.config.train, "data=folder") if not _chooses_data(self.config.train) else self.config.train
        fixed = {"name": self.config.model, "data.path": self.config.data, "tracking.register": False}
        return tree(words).config({**fixed, **(values or {})})

    def transition(self, cycle: str, seq: int, state: str, **facts: Any) -> Transition:
        """A transition that happens now; to be appended."""
        code = code_version()
        text = code["version"] or ""
        return Transition(
            cycle=cycle,
            seq=seq,
            time=self.clock(),
            state=state,
            by=self.by,
            config=self.config.sha256,
            code=f"{text}+{code['git'][:12]}" if code["git"] else text,
            **facts,
        )

    def agreeing(self, agreed: bool) -> Workplace:
        """The same, with or without a person's consent."""
        return replace(self, agreed=agreed)


@contextmanager
def open_workplace(config: LoopConfig, **choices: Any) -> Iterator[Workplace]:
    """Open the log's database, and close it at the end.

    Args:
        config: What is set.
        choices: Further attributes of :class:`Workplace`.

    Raises:
        MissingExtraError: The database's libraries are not installed.
        LogDatabaseError: The database cannot be used now.
    """
    require_database()
    place = log_place(config)
    engine = connect(place.database)
    try:
        migrate(engine)
        ledger = Ledger(config.home, engine, config.model)
        yield Workplace(config=config, engine=engine, photos=photos_at(place.photos), ledger=ledger, **choices)
    finally:
        engine.dispose()


def log_place(config: LoopConfig) -> LogLocation:
    """Where the log is: as the configuration says, else as the servers' environment does."""
    log = config.log
    given = {"log_folder": log.folder, "log_url": log.url, "photos_url": log.photos}
    told: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return log_location(replace(Settings.from_environment(), **told))


def _chooses_data(words: tuple[str, ...]) -> bool:
    return any(word.startswith("data=") for word in words)

"""What an alias stands for, asked cheaply and often, as a server does that follows it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.registry.mlflow_client import sqlite_file, tracking_uri
from animal_classification.registry.model_version import parse_reference
from animal_classification.registry.store import Registry

if TYPE_CHECKING:
    Signature = tuple[tuple[int, int, int], ...]

# A file that was written less than this many seconds ago may have been written again since, at the same time.
_SETTLED = 2.0


class AliasWatch:
    """An alias of a registered model.

    An SQLite file that was not written since is not asked again; otherwise a look costs one query, or one request.

    Args:
        reference: ``zoo@production``.
        uri: MLflow's tracking URI; as for :func:`resolve_model` by default.

    Raises:
        UsageError: It is not the name of an alias.
    """

    def __init__(self, reference: str, *, uri: str | None = None) -> None:
        self._reference = parse_reference(reference)
        self._uri = uri
        self._registry: Registry | None = None
        self._known: tuple[Signature, int] | None = None

    def version(self) -> int:
        """The number of the version that it stands for.

        Raises:
            BundleNotFoundError: There is no such model, or it has no such alias.
            RegistryError: The registry cannot be reached.
        """
        now = self._signature()
        if self._known is not None and now and self._known[0] == now:
            return self._known[1]
        if self._registry is None:
            self._registry = Registry.open(self._uri)
        version = self._registry.find(self._reference).version
        self._known = (now, version)
        return version

    def _signature(self) -> Signature:
        """When the SQLite file was written last; empty where that says nothing."""
        file = sqlite_file(tracking_uri(self._uri))
        if file is None:
            return ()
        seen = []
        for path in (file, Path(f"{file}-wal"), Path(f"{file}-journal")):
            with suppress(FileNotFoundError):  # the last two come and go
                seen.append(path.stat())
        if any(time.time() - stat.st_mtime < _SETTLED for stat in seen):
            return ()
        return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in seen)

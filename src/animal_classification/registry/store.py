"""The registry itself: names, versions, aliases, and who was in production before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from animal_classification.common.suggest import nearest
from animal_classification.errors import BundleNotFoundError
from animal_classification.registry.mlflow_client import connect, explained, shown, tracking_uri
from animal_classification.registry.model_version import PRODUCTION, ModelReference, Version, from_mlflow

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel
    from mlflow.tracking.client import MlflowClient

CANARY_SHARE = "animals.canary.share"  # tag of a version
_HISTORY = "animals.history"  # versions that were in production, the last one last


class Registry:
    """What MLflow's client can do, in this project's terms.

    Every method may raise ``RegistryError`` when the store cannot be reached.
    """

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self.client = client
        self.uri = uri

    @classmethod
    def open(cls, uri: str | None = None, *, create: bool = False) -> Registry:
        """Connect to ``uri``, to ``ANIMALS_TRACKING_URI``, or to the SQLite file in ``runs``.

        Raises:
            RegistryError: It cannot be reached, or is not there and ``create`` is false.
        """
        where = tracking_uri(uri)
        return cls(connect(where, create=create), where)

    @property
    def shown_uri(self) -> str:
        """Where it is, without a password."""
        return shown(self.uri)

    def names(self) -> list[str]:
        """All registered models."""
        with explained(self.uri):
            return sorted(model.name for model in self._search())

    def versions(self, name: str) -> list[Version]:
        """All versions of a model, the newest first.

        Raises:
            BundleNotFoundError: There is no such model.
        """
        aliases = self.aliases(name)
        with explained(self.uri):
            found = self.client.search_model_versions(f"name = '{_quoted(name)}'", max_results=1000)
            versions = [from_mlflow(entity, _pointing_at(aliases, int(entity.version))) for entity in found]
        return sorted(versions, key=lambda version: version.version, reverse=True)

    def aliases(self, name: str) -> dict[str, int]:
        """A model's aliases and the versions that they stand for.

        Raises:
            BundleNotFoundError: There is no such model.
        """
        return {alias: int(version) for alias, version in self._model(name).aliases.items()}

    def find(self, reference: ModelReference) -> Version:
        """The version that an alias or a number stands for.

        Raises:
            BundleNotFoundError: There is no such model, alias or version.
        """
        aliases = self.aliases(reference.name)
        number = reference.version if reference.alias is None else aliases.get(reference.alias)
        if number is None:
            known = ", ".join(sorted(aliases)) or "none"
            raise BundleNotFoundError(
                f"model {reference.name!r} has no version with the alias {reference.alias!r} (aliases: {known}); "
                f"see: animals models show {reference.name}"
            )
        with explained(self.uri):
            try:
                entity = self.client.get_model_version(reference.name, str(number))
            except Exception as error:
                if _is_missing(error):
                    raise BundleNotFoundError(
                        f"model {reference.name!r} has no version {number}; see: animals models show {reference.name}"
                    ) from error
                raise
        return from_mlflow(entity, _pointing_at(aliases, number))

    def with_alias(self, name: str, alias: str) -> Version | None:
        """The version that an alias stands for, if the model and the alias are there."""
        try:
            return self.find(ModelReference(name, alias))
        except BundleNotFoundError:
            return None

    def production_before(self, name: str) -> list[int]:
        """Versions that were in production before the present one, the last one last."""
        text = self._model(name).tags.get(_HISTORY, "[]")
        present = self.aliases(name).get(PRODUCTION)
        return [int(number) for number in json.loads(text) if int(number) != present]

    def remember_production(self, name: str, numbers: list[int]) -> None:
        """Replace the list of versions that were in production."""
        with explained(self.uri):
            self.client.set_registered_model_tag(name, _HISTORY, json.dumps(numbers))

    def set_alias(self, version: Version, alias: str) -> None:
        """Let an alias stand for this version, in one step."""
        with explained(self.uri):
            self.client.set_registered_model_alias(version.name, alias, str(version.version))

    def drop_alias(self, version: Version, alias: str) -> None:
        """Take an alias away from this version."""
        with explained(self.uri):
            self.client.delete_registered_model_alias(version.name, alias)

    def share(self, version: Version) -> float:
        """Which share of requests a version answers as a canary, by its tag; all where it has none that can be read."""
        with explained(self.uri):
            tags = self.client.get_model_version(version.name, str(version.version)).tags
        try:
            share = float(tags.get(CANARY_SHARE, "1"))
        except ValueError:
            return 1.0
        return share if 0 <= share <= 1 else 1.0

    def set_share(self, version: Version, share: float) -> None:
        """Say which share of requests a version answers as a canary; servers that follow its tag see it."""
        with explained(self.uri):
            self.client.set_model_version_tag(version.name, str(version.version), CANARY_SHARE, f"{share:g}")

    def _model(self, name: str) -> RegisteredModel:
        with explained(self.uri):
            try:
                return self.client.get_registered_model(name)
            except Exception as error:
                if not _is_missing(error):
                    raise
                known = self.names()
        hint = nearest(name, known) or f"; there are: {', '.join(known[:5]) or 'none'}"
        raise BundleNotFoundError(f"there is no registered model {name!r}{hint}")

    def _search(self) -> Iterator[RegisteredModel]:
        token: str | None = None
        while True:
            page = self.client.search_registered_models(max_results=100, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def _is_missing(error: Exception) -> bool:
    return getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST"


def _pointing_at(aliases: dict[str, int], number: int) -> tuple[str, ...]:
    return tuple(sorted(alias for alias, version in aliases.items() if version == number))


def _quoted(name: str) -> str:
    return name.replace("'", "''")

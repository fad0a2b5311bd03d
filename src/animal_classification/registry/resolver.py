"""From a registered name to a verified bundle on the local disk."""

# Imported where they are used: MLflow takes a second to load, and most runs register nothing.

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse
from urllib.request import url2pathname

from animal_classification import bundle as bundles
from animal_classification.bundle.cache import default_directory
from animal_classification.common import atomic
from animal_classification.errors import BundleError, BundleInvalidError, BundleNotFoundError, UsageError
from animal_classification.registry.mlflow_client import ARTIFACTS, explained, sqlite_file
from animal_classification.registry.model_version import (
    PREFIX,
    PRODUCTION,
    ModelReference,
    Version,
    parse_reference,
    registered_name,
)
from animal_classification.registry.store import Registry

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle


def resolve_model(model: str, *, uri: str | None = None) -> str:
    """What ``bundle.load`` takes, for anything that a person may write for a model.

    >>> resolve_model("photos")
    'photos'

    Args:
        model: ``models:/NAME@ALIAS``, ``NAME@ALIAS`` or ``models:/NAME/VERSION``; anything else is handed back as it
            is, without a look at the registry.
        uri: MLflow's tracking URI; by default ``ANIMALS_TRACKING_URI``, else the SQLite file in ``runs``.

    Raises:
        UsageError: It starts like a registered model and is not the name of one.
        BundleNotFoundError: There is no such model, alias or version, or its bundle is gone.
        BundleInvalidError: The bundle is not what was registered.
        RegistryError: The registry cannot be reached.
    """
    named = registered_name(model)
    return model if named is None else str(resolve(named, uri=uri))


def resolve(reference: str, *, uri: str | None = None) -> Path:
    """The local folder of a registered model's bundle, verified; errors as for :func:`resolve_model`."""
    return find_bundle(reference, uri=uri)[1].path


def find_bundle(reference: str, *, uri: str | None = None) -> tuple[Version, Bundle]:
    """A registered model's version and its bundle, verified; errors as for :func:`resolve_model`."""
    parsed = parse_reference(reference)
    if parsed.alias is None and parsed.version is None:
        raise UsageError(f"{reference!r}: which version? write {PREFIX}{parsed}@{PRODUCTION} or {PREFIX}{parsed}/1")
    registry = Registry.open(uri)
    version = registry.find(parsed)
    return version, local_bundle(registry, version)


def find(registry: Registry, text: str, *, alias: str) -> Version:
    """The version that a person means; a name alone means the one with ``alias``."""
    parsed = parse_reference(text)
    if parsed.alias is None and parsed.version is None:
        parsed = ModelReference(parsed.name, alias)
    return registry.find(parsed)


def local_bundle(registry: Registry, version: Version) -> Bundle:
    """The bundle of a version: where it is, or a copy in the user's cache of models.

    Raises:
        BundleNotFoundError: It is gone.
        BundleInvalidError: It is damaged, or is not what was registered.
        RegistryError: It cannot be fetched.
    """
    place = _local_path(registry, version)
    if place is None and version.source.startswith(("gs://", "s3://", "http://", "https://")):
        found = bundles.load(version.source)
    elif place is None:
        found = _fetched(registry, version)
    else:
        try:
            found = bundles.load(place)
        except BundleNotFoundError as error:
            raise BundleNotFoundError(
                f"{version.label}: its bundle is gone from {place}; register it again, or put it back"
            ) from error
    if version.sha256 and found.sha256 != version.sha256:
        raise BundleInvalidError(
            f"{version.label}: {found.path} is not what was registered (sha256 {found.sha256[:12]} instead of "
            f"{version.sha256[:12]}); register it again"
        )
    return found


def _local_path(registry: Registry, version: Version) -> Path | None:
    """The folder on this machine that a version points to."""
    parsed = urlparse(version.source)
    if parsed.scheme not in ("", "file"):
        return None
    path = Path(url2pathname(parsed.path))
    database = sqlite_file(registry.uri)
    if not path.exists() and database is not None and ARTIFACTS in path.parts:
        # The output folder has been moved as a whole since.
        inside = path.parts[path.parts.index(ARTIFACTS) :]
        moved = database.absolute().parent.joinpath(*inside)
        return moved if moved.exists() else path
    return path


def _fetched(registry: Registry, version: Version) -> Bundle:
    """Downloaded into the cache, under the bundle's hash; a second time nothing is fetched."""
    target = default_directory() / "bundles" / (version.sha256 or f"{version.name}-{version.version}")
    if version.sha256 and target.is_dir():
        try:
            return bundles.load(target)
        except BundleError:
            shutil.rmtree(target, ignore_errors=True)
    with explained(registry.uri):
        from mlflow.artifacts import download_artifacts

        with atomic.sibling(target) as temporary:
            got = download_artifacts(artifact_uri=version.source, dst_path=str(temporary), tracking_uri=registry.uri)
            bundles.load(Path(got))
            atomic.put_folder(Path(got), target, existing="replace")
    return bundles.load(target)

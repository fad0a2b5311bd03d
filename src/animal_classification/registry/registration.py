"""Into the registry: a bundle, what it was measured to be, and whether it is worth a look."""

# Imported where they are used: MLflow takes a second to load, and most runs register nothing.

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification import bundle as bundles
from animal_classification.registry.mlflow_client import artifact_location, experiment_id, explained
from animal_classification.registry.model_version import (
    CANDIDATE,
    PRODUCTION,
    ModelReference,
    Version,
    measured,
    tags_of,
)
from animal_classification.registry.store import Registry

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle

_EXPERIMENT = "animals"
_FOLDER = "bundle"
_INFO = "bundle.json"


@dataclass(frozen=True)
class Registration:
    """What came of an offer.

    Attributes:
        version: The version with alias ``candidate``, or ``None`` where the bundle was not registered.
        note: Why, in one line for people.
    """

    version: Version | None
    note: str


def register(
    bundle_path: Path,
    *,
    name: str,
    metrics: Mapping[str, Any] | None = None,
    uri: str | None = None,
    run_id: str | None = None,
    test_version: str | None = None,
) -> Version:
    """Make a bundle the next version of a model; the registry keeps a copy of its own.

    A bundle that is a version of this model already stays that version.

    Args:
        bundle_path: Its folder; verified first.
        name: The model's name; made if it is new.
        metrics: By name, nested or flat; beside those in the bundle.
        uri: MLflow's tracking URI; by default ``ANIMALS_TRACKING_URI``, else the SQLite file in ``runs``.
        run_id: MLflow's, of the run that made it. If that run holds the bundle already, it is not copied again.
        test_version: Stands for the photos that it was tested on; the data version by default.

    Raises:
        BundleError: It is no valid bundle.
        RegistryError: The registry cannot be reached, or refuses.
    """
    bundle = bundles.load(Path(bundle_path))
    return _register(Registry.open(uri, create=True), described(bundle, name, metrics, run_id, test_version), bundle)


def register_if_better(
    bundle_path: Path,
    *,
    name: str,
    metrics: Mapping[str, Any] | None = None,
    uri: str | None = None,
    run_id: str | None = None,
    test_version: str | None = None,
) -> Registration:
    """Register a bundle as ``candidate`` unless the model in ``production`` is known to be as good.

    Known means: on the same test photos, it tells people at least as often what they show (``answered_right``; the
    accuracy stands in where one of the two was registered before that was measured). Where the test photos differ, or
    where nothing is in production, there is nothing to compare, and it becomes the candidate with a note that says so:
    a candidate serves nobody until a person promotes it. Arguments and errors are those of :func:`register`.
    """
    bundle = bundles.load(Path(bundle_path))
    offered = described(bundle, name, metrics, run_id, test_version)
    registry = Registry.open(uri, create=True)
    production = registry.with_alias(name, PRODUCTION)
    better, why = _compare(offered, production)
    if not better:
        return Registration(None, f"not registered: {why}")
    version = _register(registry, offered, bundle)
    registry.set_alias(version, CANDIDATE)
    version = registry.find(ModelReference(version.name, version=version.version))
    return Registration(version, f"registered as {version.label}, {CANDIDATE}: {why}")


def _compare(offered: Version, production: Version | None) -> tuple[bool, str]:
    """Whether it is worth registering, and why."""
    if production is None:
        return True, "no version is in production yet"
    rival = f"{production.label} in production"
    if production.sha256 == offered.sha256:
        return False, f"it is the same bundle as {rival}"
    if production.accuracy is None:
        return True, f"not compared with {rival}, whose accuracy was not measured"
    if offered.accuracy is None:
        return False, f"its accuracy was not measured, and {rival} has {production.accuracy:.4f}"
    what, new, old = "accuracy", offered.accuracy, production.accuracy
    if offered.answered_right is not None and production.answered_right is not None:
        what, new, old = "told right", offered.answered_right, production.answered_right
    both = f"{what} {new:.4f} against {old:.4f} of {rival}"
    if production.test_version != offered.test_version:
        return True, f"{both}, which was tested on other photos, so that the two cannot be compared"
    return new > old, f"{both}, on the same photos"


def described(
    bundle: Bundle,
    name: str,
    metrics: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    test_version: str | None = None,
) -> Version:
    """The version that a bundle would become; its number is 0."""
    info = bundle.info
    numbers = measured(info.metrics, metrics or {})
    files = [bundle.path / _INFO, *(bundle.path / file for file in info.files)]
    return Version(
        name=name,
        version=0,
        accuracy=numbers.get("accuracy"),
        data_version=info.data.version,
        test_version=test_version or info.data.version,
        sha256=bundle.sha256,
        bytes=sum(file.stat().st_size for file in files),
        created=datetime.now(UTC),
        run_id=run_id,
        source="",
        metrics=numbers,
    )


def _register(registry: Registry, offered: Version, bundle: Bundle) -> Version:
    client = registry.client
    with explained(registry.uri):
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(offered.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    there = [old for old in registry.versions(offered.name) if old.sha256 == offered.sha256]
    if there:
        return there[0]
    with explained(registry.uri):
        run_id = offered.run_id or _new_run(registry, offered.name)
        source = _stored(registry, run_id, bundle)
        entity = client.create_model_version(
            offered.name, source, run_id, tags=tags_of(replace(offered, run_id=run_id))
        )
    return registry.find(ModelReference(offered.name, version=int(entity.version)))


def _new_run(registry: Registry, name: str) -> str:
    """A run to hold the files of a bundle that no tracked run has made."""
    location = artifact_location(registry.uri)
    experiment = experiment_id(registry.client, _EXPERIMENT, location)
    run = registry.client.create_run(experiment, run_name=f"register {name}")
    registry.client.set_terminated(run.info.run_id, "FINISHED")
    run_id: str = run.info.run_id
    return run_id


def _stored(registry: Registry, run_id: str, bundle: Bundle) -> str:
    """Where the run keeps the bundle, put there unless it is there."""
    client = registry.client
    folder = _FOLDER
    if not _holds(registry, run_id, bundle):
        if client.list_artifacts(run_id, _FOLDER):
            folder = f"{_FOLDER}-{bundle.sha256[:12]}"
        client.log_artifacts(run_id, str(bundle.path), folder)
    return f"{client.get_run(run_id).info.artifact_uri}/{folder}"


def _holds(registry: Registry, run_id: str, bundle: Bundle) -> bool:
    """Whether the run's folder ``bundle`` is this bundle, and whole."""
    files = {Path(item.path).name: item.file_size for item in registry.client.list_artifacts(run_id, _FOLDER)}
    if any(files.get(name) != (bundle.path / name).stat().st_size for name in (_INFO, *bundle.info.files)):
        return False
    with tempfile.TemporaryDirectory(prefix="animals-registry-") as folder:
        info = Path(registry.client.download_artifacts(run_id, f"{_FOLDER}/{_INFO}", folder))
        return hashlib.sha256(info.read_bytes()).hexdigest() == bundle.sha256

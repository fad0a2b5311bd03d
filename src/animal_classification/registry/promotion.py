"""Who serves: into production, and back.

``production`` moves in one step, last or first, so that at every moment it stands for a version that was verified. What
was in production before is a list on the model; an entry that equals the present version is passed over, so that a
change that was cut off in between does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

from animal_classification.errors import RegistryError
from animal_classification.registry.model_version import CANDIDATE, PRODUCTION, ModelReference, Version
from animal_classification.registry.resolver import find, local_bundle
from animal_classification.registry.store import Registry


@dataclass(frozen=True)
class Change:
    """A change of what is in production.

    Attributes:
        now: In production from now on.
        before: Was in production until now; ``None`` where nothing was. Equal to ``now`` where nothing changed.
    """

    now: Version
    before: Version | None


def promote(reference: str, *, uri: str | None = None) -> Change:
    """Put a version into production, its candidate if a name alone is given.

    Raises:
        BundleNotFoundError: There is no such version, or its bundle is gone.
        BundleInvalidError: Its bundle is damaged or not what was registered; production stays as it was.
        RegistryError: The registry cannot be reached.
    """
    registry = Registry.open(uri)
    chosen = find(registry, reference, alias=CANDIDATE)
    before = registry.with_alias(chosen.name, PRODUCTION)
    if before is not None and before.version == chosen.version:
        return Change(chosen, chosen)
    local_bundle(registry, chosen)  # seconds, or minutes from a bucket: others may change aliases meanwhile
    before = registry.with_alias(chosen.name, PRODUCTION)
    if before is not None and before.version != chosen.version:
        earlier = [number for number in registry.production_before(chosen.name) if number != chosen.version]
        registry.remember_production(chosen.name, [*earlier, before.version])
    registry.set_alias(chosen, PRODUCTION)
    if registry.aliases(chosen.name).get(CANDIDATE) == chosen.version:  # not what was offered since
        registry.drop_alias(chosen, CANDIDATE)
    return Change(_again(registry, chosen), before)


def rollback(name: str, *, uri: str | None = None) -> Change:
    """Put the version into production that was there before.

    Raises:
        RegistryError: There is none, or the registry cannot be reached.
        BundleNotFoundError: There is no such model, or the bundle is gone.
        BundleInvalidError: The bundle is damaged; production stays as it is.
    """
    registry = Registry.open(uri)
    earlier = registry.production_before(name)
    present = registry.with_alias(name, PRODUCTION)
    if not earlier:
        raise RegistryError(f"model {name!r}: nothing was in production before; see: animals models show {name}")
    target = registry.find(ModelReference(name, version=earlier[-1]))
    local_bundle(registry, target)
    registry.set_alias(target, PRODUCTION)
    registry.remember_production(name, earlier[:-1])
    return Change(_again(registry, target), present)


def _again(registry: Registry, version: Version) -> Version:
    return registry.find(ModelReference(version.name, version=version.version))

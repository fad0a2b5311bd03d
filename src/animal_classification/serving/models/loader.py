"""From what an operator wrote to a model that is verified, loaded and warm; and whether there is another one by now."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from animal_classification import bundle as bundles
from animal_classification.bundle.location import Remote, locate
from animal_classification.bundle.schema import INFO_FILE
from animal_classification.common.allocator import large_blocks_apart
from animal_classification.errors import BundleInvalidError, BundleNotFoundError
from animal_classification.inference.classifier import Classifier
from animal_classification.serving.models.warmup import LARGEST_BATCH, fastest_batch, warm_all, warm_up

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.imaging import Limits
    from animal_classification.registry import Version
    from animal_classification.registry.alias_watch import AliasWatch
    from animal_classification.serving.batching.inference_jobs import Predictor
    from animal_classification.serving.models.model_spec import ModelSource
    from animal_classification.settings import Settings


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that can answer.

    Attributes:
        predictor: Warm; it goes by the name and version under which it is served.
        batch: How many photos it infers at once.
        seen: What :meth:`Loader.look` says while this is the one to serve.
        facts: What the bundle says of itself, for people.
    """

    predictor: Predictor
    batch: int = LARGEST_BATCH
    seen: str = ""
    facts: dict[str, Any] | None = None

    @property
    def title(self) -> str:
        """For the log: ``zoo 3``."""
        info = self.predictor.info
        return f"{info.name} {info.version}"


class Loader:
    """Loads models as the settings say; every method may run on any thread, and all of them are slow.

    Args:
        settings: Engine, threads and the registry.
        limits: Bounds on photos, with the memory that all models share to decode them.
    """

    def __init__(self, settings: Settings, limits: Limits) -> None:
        self._limits = limits
        self._settings = settings
        self._watches: dict[str, AliasWatch] = {}

    def look(self, source: ModelSource) -> str | None:
        """A word that changes when there is another model to serve; ``None`` where that cannot be.

        Cheap: a look at a file's time, a query, or one small file that is read.

        Raises:
            AnimalsError: The model is gone, or the registry cannot be reached.
        """
        if source.alias is not None:
            return str(self._watch(source.alias).version())
        if source.registered or source.model in bundles.builtin_names():
            return None
        return _hash_of_info(source.model)

    def load(self, source: ModelSource, *, before: Loaded | None = None, threads: int | None = None) -> Loaded:
        """Fetch, verify, load and warm up.

        Args:
            source: Where from.
            before: What it takes over from, if anything.
            threads: How many run side by side; by the settings if ``None``.

        Raises:
            AnimalsError: It cannot be reached, fails a check, or the engine refuses it.
        """
        if before is None:
            return self._load(source, None, threads)
        with large_blocks_apart():
            return self._load(source, before, threads)

    def _load(self, source: ModelSource, before: Loaded | None, threads: int | None) -> Loaded:
        bundle, seen, registered = self._fetch(source)
        own = {"name": bundle.info.name, "version": bundle.info.version}
        facts = bundles.describe(bundle)
        if registered is None:
            name, version = bundle.info.name, _told_apart(bundle, before)
        else:
            name, version = registered.name, str(registered.version)
        name = source.name or name
        info = bundle.info.model_copy(update={"name": name, "version": version})
        predictor = self._start(replace(bundle, info=info), threads)
        batch = self._settings.batch or (before.batch if before is not None else fastest_batch(predictor))
        if before is not None:
            warm_all(predictor, batch)
        return Loaded(predictor, batch, seen, {**facts, "name": name, "version": version, "bundle": own})

    def _start(self, bundle: Bundle, threads: int | None) -> Classifier:
        settings = self._settings
        wanted = threads or settings.threads or None
        classifier = Classifier.load(bundle, engine=settings.engine, threads=wanted, limits=self._limits)
        if not math.isfinite(warm_up(classifier).probability):
            raise BundleInvalidError(f"{bundle.path}: answers with numbers that are none; export the model again")
        return classifier

    def _fetch(self, source: ModelSource) -> tuple[Bundle, str, Version | None]:
        """The bundle, what a look says of it, and what the registry knows if it is there."""
        if not source.registered:
            bundle = bundles.load(source.model)
            return bundle, bundle.sha256, None
        from animal_classification.registry import find_bundle

        version, bundle = find_bundle(source.model, uri=self._settings.tracking_uri)
        return bundle, str(version.version), version

    def _watch(self, alias: str) -> AliasWatch:
        from animal_classification.registry import AliasWatch

        if alias not in self._watches:
            self._watches[alias] = AliasWatch(alias, uri=self._settings.tracking_uri)
        return self._watches[alias]


def _hash_of_info(model: str) -> str:
    """What :attr:`Bundle.sha256` would be, without the rest of the bundle."""
    place = locate(model)
    try:
        if isinstance(place, Remote):
            data: bytes = place.filesystem.cat_file(place.path(INFO_FILE))
        else:
            data = (place / INFO_FILE).read_bytes()
    except Exception as error:  # file systems behind fsspec have exceptions of their own
        raise BundleNotFoundError(f"{model}: {INFO_FILE} cannot be read ({error})") from error
    return hashlib.sha256(data).hexdigest()


def _told_apart(bundle: Bundle, before: Loaded | None) -> str:
    """The bundle's version; with a piece of its hash where the one before had the same and was another."""
    version = bundle.info.version
    if before is None or before.facts is None or before.facts["bundle"]["version"] != version:
        return version
    if before.predictor.bundle.sha256 == bundle.sha256:
        return before.predictor.info.version
    return f"{version}+{bundle.sha256[:8]}"

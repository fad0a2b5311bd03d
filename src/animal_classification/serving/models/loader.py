"""Loads a model: finds its bundle, verifies it, warms it up, and chooses how many photos it infers at once.

Also says, without loading, whether a source has another model by now.
"""

# Imported where it is used: the registry needs MLflow.

from __future__ import annotations

import hashlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image

from animal_classification import bundle as bundles
from animal_classification.bundle.location import Remote, locate
from animal_classification.bundle.schema import INFO_FILE
from animal_classification.common.allocator import large_blocks_apart
from animal_classification.errors import BundleInvalidError, BundleNotFoundError
from animal_classification.inference.classifier import Classifier

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.bundle import Bundle
    from animal_classification.imaging import Limits
    from animal_classification.inference import Prediction
    from animal_classification.registry import Version
    from animal_classification.registry.alias_watch import AliasWatch
    from animal_classification.serving.batching.inference_jobs import Predictor
    from animal_classification.serving.models.model_spec import ModelSource
    from animal_classification.settings import Settings

# The sizes tried. A batch makes its first photo wait for its last, so it must take at most this share of the time that
# the same photos take one by one.
WORTH_IT = {1: 1.0, 2: 0.98, 4: 0.9}
LARGEST_BATCH = max(WORTH_IT)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that can answer.

    Attributes:
        predictor: Warm; it goes by the name and version under which it is served.
        batch: How many photos it infers at once.
        fingerprint: What :meth:`ModelLoader.fingerprint` says while this is the model to serve.
        description: What the bundle says of itself, for people.
    """

    predictor: Predictor
    batch: int = LARGEST_BATCH
    fingerprint: str = ""
    description: dict[str, Any] | None = None

    @property
    def title(self) -> str:
        """For the log: ``zoo 3``."""
        info = self.predictor.info
        return f"{info.name} {info.version}"


class ModelLoader:
    """Loads models as the settings say; every method may run on any thread, and all of them are slow.

    Args:
        settings: Engine, threads and the registry.
        limits: Bounds on photos, with the memory that all models share to decode them.
    """

    def __init__(self, settings: Settings, limits: Limits) -> None:
        self._limits = limits
        self._settings = settings
        self._watches: dict[str, AliasWatch] = {}

    def fingerprint(self, source: ModelSource) -> str | None:
        """A text that changes when the source has another model; ``None`` where it never can.

        Cheap: it makes one query, or reads one small file.

        Raises:
            AnimalsError: The model is gone, or the registry cannot be reached.
        """
        if source.alias is not None:
            return str(self._alias_watch(source.alias).version())
        if source.registered or source.model in bundles.builtin_names():
            return None
        return _hash_of_info(source.model)

    def canary_share(self, source: ModelSource) -> float:
        """The share of requests that the registry says for an alias.

        Raises:
            AnimalsError: The model is gone, or the registry cannot be reached.
        """
        assert source.alias is not None
        from animal_classification.registry import Registry
        from animal_classification.registry.model_version import parse_reference

        registry = Registry.open(self._settings.tracking_uri or None)
        return registry.share(registry.find(parse_reference(source.alias)))

    def load(
        self, source: ModelSource, *, before: LoadedModel | None = None, threads: int | None = None
    ) -> LoadedModel:
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

    def _load(self, source: ModelSource, before: LoadedModel | None, threads: int | None) -> LoadedModel:
        bundle, fingerprint, registered = self._fetch(source)
        own = {"name": bundle.info.name, "version": bundle.info.version}
        description = bundles.describe(bundle)
        if registered is None:
            name, version = bundle.info.name, _distinct_version(bundle, before)
        else:
            name, version = registered.name, str(registered.version)
        name = source.name or name
        info = bundle.info.model_copy(update={"name": name, "version": version})
        predictor = self._start(replace(bundle, info=info), threads)
        batch = self._settings.batch or (before.batch if before is not None else fastest_batch(predictor))
        if before is not None:
            warm_all(predictor, batch)
        described = {**description, "name": name, "version": version, "bundle": own}
        return LoadedModel(predictor, batch, fingerprint, described)

    def _start(self, bundle: Bundle, threads: int | None) -> Classifier:
        settings = self._settings
        wanted = threads or settings.threads or None
        classifier = Classifier.load(bundle, engine=settings.engine, threads=wanted, limits=self._limits)
        if not math.isfinite(warm_up(classifier).probability):
            raise BundleInvalidError(f"{bundle.path}: answers with numbers that are none; export the model again")
        return classifier

    def _fetch(self, source: ModelSource) -> tuple[Bundle, str, Version | None]:
        """The bundle, its fingerprint, and what the registry knows of it if it is registered."""
        if not source.registered:
            bundle = bundles.load(source.model)
            return bundle, bundle.sha256, None
        from animal_classification.registry import find_bundle

        version, bundle = find_bundle(source.model, uri=self._settings.tracking_uri)
        return bundle, str(version.version), version

    def _alias_watch(self, alias: str) -> AliasWatch:
        from animal_classification.registry import AliasWatch

        if alias not in self._watches:
            self._watches[alias] = AliasWatch(alias, uri=self._settings.tracking_uri)
        return self._watches[alias]


def _hash_of_info(model: str) -> str:
    """What :attr:`Bundle.sha256` would be, from the one file that it depends on."""
    place = locate(model)
    try:
        if isinstance(place, Remote):
            data: bytes = place.filesystem.cat_file(place.path(INFO_FILE))
        else:
            data = (place / INFO_FILE).read_bytes()
    except Exception as error:  # file systems behind fsspec raise their own exceptions
        raise BundleNotFoundError(f"{model}: {INFO_FILE} cannot be read ({error})") from error
    return hashlib.sha256(data).hexdigest()


def _distinct_version(bundle: Bundle, before: LoadedModel | None) -> str:
    """The bundle's version; with a piece of its hash where another bundle before it had the same version."""
    version = bundle.info.version
    if before is None or before.description is None or before.description["bundle"]["version"] != version:
        return version
    if before.predictor.bundle.sha256 == bundle.sha256:
        return before.predictor.info.version
    return f"{version}+{bundle.sha256[:8]}"


def warm_up(predictor: Predictor) -> Prediction:
    """Answer once for a grey photo, so that the first visitor does not wait for what engines do on first use."""
    (prediction,) = predictor.classify(_grey_photos(predictor))
    return prediction


def warm_all(predictor: Predictor, batch: int) -> None:
    """Answer batches of every size on every thread of the engine, which makes its buffers then."""
    many = _grey_photos(predictor) * batch
    with ThreadPoolExecutor(predictor.threads) as pool:
        for size in range(batch, 0, -1):
            list(pool.map(lambda _, size=size: predictor.classify(many[:size]), range(predictor.threads)))


def fastest_batch(predictor: Predictor, *, tries: int = 3, clock: Callable[[], float] = time.perf_counter) -> int:
    """How many photos to infer at once on this machine: more than one where that gains enough (``WORTH_IT``).

    That depends on the processor's caches, and on who else uses them. It takes 0.1 to 0.2 s.
    """
    many = _grey_photos(predictor) * LARGEST_BATCH
    best = dict.fromkeys(WORTH_IT, float("inf"))
    for _ in range(tries):  # side by side, and the best of each, because others may take the cores meanwhile
        for size in best:
            started = clock()
            for _ in range(LARGEST_BATCH // size):
                predictor.classify(many[:size])
            best[size] = min(best[size], clock() - started)
    return min(best, key=lambda size: best[size] / WORTH_IT[size])


def _grey_photos(predictor: Predictor) -> list[NDArray[np.uint8]]:
    """A grey photo, prepared."""
    grey = BytesIO()
    Image.new("RGB", (64, 64), (127, 127, 127)).save(grey, "JPEG")
    return [predictor.prepare(grey.getvalue())]

"""Loads every model that a server is to serve, and sets up a watcher for each."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from animal_classification.detection.detector import Detector
from animal_classification.errors import BundleNotFoundError, UsageError
from animal_classification.registry.model_version import parse_reference
from animal_classification.serving.batching.slow_work import PATIENCE, in_thread
from animal_classification.serving.models.loader import ModelLoader
from animal_classification.serving.models.model_spec import ModelSource, ServingPlan, TrafficShare
from animal_classification.serving.models.shadow import lower_priority
from animal_classification.serving.models.tagged_canary import TaggedCanary
from animal_classification.serving.models.watcher import ModelWatcher, WatchedModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animal_classification.serving.models.loader import LoadedModel
    from animal_classification.serving.service import ModelService
    from animal_classification.settings import Settings

Role = Literal["canary", "shadow"]


async def install_models(service: ModelService, settings: Settings) -> None:
    """Load every model that the settings name, and let them answer all at once.

    Args:
        service: Gets the models and their watchers, which do not run yet.
        settings: Name the models.

    Raises:
        AnimalsError: A model cannot be loaded, or two go by one name.
    """
    plan = ServingPlan.of(settings)
    bootstrap = _Bootstrap(service, settings)
    loaded = await in_thread(lambda: [bootstrap.loader.load(source) for source in plan.models], patience=PATIENCE)
    names = [item.predictor.info.name for item in loaded]
    _require_distinct(names)
    _warn_of_crops(loaded, settings)
    if settings.detector:
        threads = loaded[0].predictor.threads
        service.detector = await in_thread(lambda: Detector.load(settings.detector, threads=threads), patience=PATIENCE)
    canaries = [under_the_same_name(traffic, names, plan.models) for traffic in plan.canaries]
    beside = [await bootstrap.load_canary_or_shadow(traffic, "canary", names) for traffic in canaries]
    beside += [await bootstrap.load_canary_or_shadow(traffic, "shadow", names) for traffic in plan.shadows]
    for name, source, item in zip(names, plan.models, loaded, strict=True):
        service.install(item)
        bootstrap.watch(replace(source, name=name), item)
    for install in beside:
        install()


class _Bootstrap:
    def __init__(self, service: ModelService, settings: Settings) -> None:
        self.loader = ModelLoader(settings, service.limits)
        self._service = service
        self._settings = settings
        # One model is loaded at a time. A shadow loads at low priority, and holds up no other.
        self._loading = {"model": (shared := asyncio.Lock()), "canary": shared, "shadow": asyncio.Lock()}

    def watch(self, source: ModelSource, now: LoadedModel) -> None:
        """Watch a model that answers."""
        name = now.predictor.info.name
        model = WatchedModel(
            name=name,
            role="model",
            fingerprint=partial(self.loader.fingerprint, source),
            load=lambda before: self.loader.load(source, before=before),
            install=lambda loaded: self._service.install(loaded, name=name) if loaded is not None else None,
        )
        self._add(model, now)

    async def load_canary_or_shadow(self, traffic: TrafficShare, role: Role, names: list[str]) -> partial[None]:
        """Load a canary or a shadow; the function returned installs it."""
        name = traffic.beside or names[0]
        if name not in names:
            raise UsageError(f"{role} {traffic.source.model!r}: there is no model {name!r} here; {', '.join(names)}")
        if any((watcher.name, watcher.role) == (name, role) for watcher in self._service.watchers):
            raise UsageError(f"{role} {traffic.source.model!r}: {name!r} has a {role} already")
        if traffic.share is None:
            return await self._load_by_tag(traffic, name)
        share = traffic.share
        load = partial(self._load, traffic.source, role)
        try:
            now: LoadedModel | None = await in_thread(lambda: load(None), patience=PATIENCE)
        except BundleNotFoundError:
            if traffic.source.alias is None:
                raise
            now = None  # the alias names no model at present
        install = self._service.install_canary if role == "canary" else self._service.install_shadow
        model = WatchedModel(
            name=name,
            role=role,
            fingerprint=partial(self.loader.fingerprint, traffic.source),
            load=load,
            install=lambda loaded: install(name, loaded, share),
            optional=traffic.source.alias is not None,
        )
        self._add(model, now)
        return partial(model.install, now)

    async def _load_by_tag(self, traffic: TrafficShare, name: str) -> partial[None]:
        """A canary whose share is a tag in the registry: another share is a new state, which loads nothing."""
        canary = TaggedCanary(self.loader, traffic.source)
        try:
            now: LoadedModel | None = await in_thread(lambda: canary.load(None), patience=PATIENCE)
        except BundleNotFoundError:
            now = None
        model = WatchedModel(
            name=name,
            role="canary",
            fingerprint=canary.fingerprint,
            load=canary.load,
            install=lambda loaded: self._service.install_canary(name, loaded, canary.share),
            optional=True,
        )
        self._add(model, now)
        return partial(model.install, now)

    def _load(self, source: ModelSource, role: Role, before: LoadedModel | None) -> LoadedModel:
        if role == "canary":
            return self.loader.load(source, before=before)
        lower_priority()  # of this thread, and of those that the engine starts
        return self.loader.load(source, before=before, threads=1)

    def _add(self, model: WatchedModel, now: LoadedModel | None) -> None:
        watcher = ModelWatcher(
            model,
            now,
            every=self._settings.follow,
            metrics=self._service.metrics.models,
            loading=self._loading[model.role],
        )
        self._service.watchers.append(watcher)


def _warn_of_crops(loaded: Sequence[LoadedModel], settings: Settings) -> None:
    for item in loaded:
        if item.predictor.info.data.crops and not settings.detector:
            logging.getLogger(__name__).warning(
                "%s learned from animals cut out of photos, and is shown whole ones: start the server with --detector, "
                "and ask for detections",
                item.title,
            )


def under_the_same_name(traffic: TrafficShare, names: Sequence[str], models: Sequence[ModelSource]) -> TrafficShare:
    """A canary that is another version of the registered model beside it answers under its name, whatever that is.

    So logs and metrics tell versions of one model apart, and not two models.
    """
    name = traffic.beside or names[0]
    main, canary = dict(zip(names, models, strict=True)).get(name), traffic.source
    if main is None or not main.registered or not canary.registered:
        return traffic
    if parse_reference(main.model).name != parse_reference(canary.model).name:
        return traffic
    return replace(traffic, source=replace(canary, name=name))


def _require_distinct(names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two models go by the name {twice!r}: give one another with --model NAME=MODEL")

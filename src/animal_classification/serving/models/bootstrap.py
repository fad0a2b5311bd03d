"""Loads everything that a server shall serve, and sets up who watches it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from animal_classification.errors import BundleNotFoundError, UsageError
from animal_classification.serving.batching.slow_work import PATIENCE, in_thread
from animal_classification.serving.models.loader import Loader
from animal_classification.serving.models.model_spec import ModelSource, ServingPlan, Split
from animal_classification.serving.models.shadow import give_way
from animal_classification.serving.models.watcher import Follower, Place

if TYPE_CHECKING:
    from animal_classification.serving.models.loader import Loaded
    from animal_classification.serving.service import ModelService
    from animal_classification.settings import Settings

Role = Literal["canary", "shadow"]


async def install_models(service: ModelService, settings: Settings) -> None:
    """Load every model that the settings name, and let them answer all at once.

    Args:
        service: Gets the models, and their followers, which do not run yet.
        settings: Which.

    Raises:
        AnimalsError: A model cannot be loaded, or two go by one name.
    """
    plan = ServingPlan.of(settings)
    starting = _Starting(service, settings)
    loaded = await in_thread(lambda: [starting.loader.load(source) for source in plan.models], patience=PATIENCE)
    names = [item.predictor.info.name for item in loaded]
    _require_distinct(names)
    beside = [await starting.load_beside(split, "canary", names) for split in plan.canaries]
    beside += [await starting.load_beside(split, "shadow", names) for split in plan.shadows]
    for name, source, item in zip(names, plan.models, loaded, strict=True):
        service.install(item)
        starting.follow(replace(source, name=name), item)
    for install in beside:
        install()


class _Starting:
    def __init__(self, service: ModelService, settings: Settings) -> None:
        self.loader = Loader(settings, service.limits)
        self._service = service
        self._settings = settings
        # One model is loaded at a time; a shadow, which gives way while it is loaded, holds up no other.
        self._turns = {"model": (turn := asyncio.Lock()), "canary": turn, "shadow": asyncio.Lock()}

    def follow(self, source: ModelSource, now: Loaded) -> None:
        """Watch a model that answers."""
        name = now.predictor.info.name
        place = Place(
            name=name,
            role="model",
            look=partial(self.loader.look, source),
            load=lambda before: self.loader.load(source, before=before),
            install=lambda loaded: self._service.install(loaded, name=name) if loaded is not None else None,
        )
        self._add(place, now)

    async def load_beside(self, split: Split, role: Role, names: list[str]) -> partial[None]:
        """Load what goes beside a model; what this returns installs it."""
        name = split.beside or names[0]
        if name not in names:
            raise UsageError(f"{role} {split.source.model!r}: there is no model {name!r} here; {', '.join(names)}")
        if any((follower.name, follower.role) == (name, role) for follower in self._service.followers):
            raise UsageError(f"{role} {split.source.model!r}: {name!r} has a {role} already")
        load = partial(self._load_beside, split.source, role)
        try:
            now: Loaded | None = await in_thread(lambda: load(None), patience=PATIENCE)
        except BundleNotFoundError:
            if split.source.alias is None:
                raise
            now = None  # nobody is a candidate at present
        install = self._service.install_canary if role == "canary" else self._service.install_shadow
        place = Place(
            name=name,
            role=role,
            look=partial(self.loader.look, split.source),
            load=load,
            install=lambda loaded: install(name, loaded, split.share),
            optional=split.source.alias is not None,
        )
        self._add(place, now)
        return partial(place.install, now)

    def _load_beside(self, source: ModelSource, role: Role, before: Loaded | None) -> Loaded:
        if role == "canary":
            return self.loader.load(source, before=before)
        give_way()  # this thread, and those of the engine
        return self.loader.load(source, before=before, threads=1)

    def _add(self, place: Place, now: Loaded | None) -> None:
        follower = Follower(
            place,
            now,
            every=self._settings.follow,
            metrics=self._service.metrics.models,
            turn=self._turns[place.role],
        )
        self._service.followers.append(follower)


def _require_distinct(names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two models go by the name {twice!r}: give one another with --model NAME=MODEL")

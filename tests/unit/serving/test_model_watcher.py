"""Followers: what takes over, what is refused, and when it is tried again."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from animal_classification.errors import BundleInvalidError, BundleNotFoundError, RegistryError, UsageError
from animal_classification.imaging import Limits
from animal_classification.inference import Classifier
from animal_classification.serving.http.uploads import UploadedPhoto
from animal_classification.serving.models.bootstrap import install_models
from animal_classification.serving.models.loader import LoadedModel, ModelLoader
from animal_classification.serving.models.model_spec import parse_source
from animal_classification.serving.models.watcher import ModelWatcher, WatchedModel
from animal_classification.serving.service import ModelService
from animal_classification.settings import Settings
from tests.support.tiny_bundle import write_tiny_bundle
from tests.unit.serving.conftest import RED, encoded


class World:
    """A source that says what it is told to, and a place that remembers what was installed."""

    def __init__(self, classifier: Classifier, *, optional: bool = False, every: float = 10.0) -> None:
        self.version: str | Exception = "1"
        self.trouble: Exception | None = None
        self.loads = 0
        self.installed: list[str | None] = []
        self.service = ModelService()
        self._classifier = classifier
        model = WatchedModel(
            name="zoo",
            role="canary" if optional else "model",
            fingerprint=self._fingerprint,
            load=self._load,
            install=lambda loaded: self.installed.append(loaded.fingerprint if loaded is not None else None),
            optional=optional,
        )
        self.watcher = ModelWatcher(
            model,
            LoadedModel(classifier, fingerprint="1"),
            every=every,
            metrics=self.service.metrics.models,
            loading=asyncio.Lock(),
        )

    def _fingerprint(self) -> str:
        if isinstance(self.version, Exception):
            raise self.version
        return self.version

    def _load(self, _: LoadedModel | None) -> LoadedModel:
        self.loads += 1
        if self.trouble is not None:
            raise self.trouble
        assert isinstance(self.version, str)
        return LoadedModel(self._classifier, fingerprint=self.version)

    def counted(self, result: str) -> float:
        text = self.service.metrics.render().decode()
        start = f'animals_model_changes_total{{model="zoo",result="{result}"}} '
        return sum(float(line.removeprefix(start)) for line in text.splitlines() if line.startswith(start))


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def test_what_is_new_takes_over_once(classifier: Classifier) -> None:
    async def scenario() -> None:
        world = World(classifier)
        assert await world.watcher.check() == "same"
        world.version = "2"
        assert await world.watcher.check() == "swapped"
        assert await world.watcher.check() == "same"
        assert (world.installed, world.loads, world.counted("swapped")) == (["2"], 1, 1.0)

    run(scenario())


@pytest.mark.parametrize("trouble", [BundleInvalidError("model.onnx: its sha256 is"), RuntimeError(), MemoryError()])
def test_what_is_refused_changes_nothing_and_is_tried_again_later(
    classifier: Classifier, caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    async def scenario() -> None:
        world = World(classifier)
        world.version, world.trouble = "2", trouble
        assert [await world.watcher.check() for _ in range(3)] == ["refused"] * 3
        assert (world.installed, world.loads) == ([], 1), "not tried again at once"
        assert world.counted("refused") == 1.0
        assert await world.watcher.check(now=True) == "refused"
        assert world.loads == 2
        world.version, world.trouble = "3", None
        assert await world.watcher.check() == "swapped", "another version does not wait"
        assert world.installed == ["3"]

    with caplog.at_level(logging.WARNING):
        run(scenario())
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "what is new is refused and tiny 1 stays: " in lines[0]
    assert lines[0].endswith("next try in 20 s")
    assert lines[1].endswith("next try in 40 s")


def test_a_registry_that_is_away_is_asked_less_and_less_often(classifier: Classifier) -> None:
    async def scenario() -> None:
        world = World(classifier)
        world.version = RegistryError("no route to host")
        pauses = []
        for _ in range(8):
            assert await world.watcher.check() == "unreachable"
            pauses.append(world.watcher._pause)
        assert pauses == [20, 40, 80, 160, 300, 300, 300, 300]
        world.version = "1"
        assert await world.watcher.check() == "same"
        assert world.watcher._pause == 10
        assert (world.installed, world.counted("unreachable")) == ([], 8.0)

    run(scenario())


def test_a_candidate_may_go_and_come_back_and_a_model_stays(classifier: Classifier) -> None:
    async def scenario() -> None:
        world = World(classifier, optional=True)
        world.version = BundleNotFoundError("no version with the alias 'candidate'")
        assert [await world.watcher.check() for _ in range(2)] == ["swapped", "same"]
        world.version = "3"
        assert await world.watcher.check() == "swapped"
        assert world.installed == [None, "3"]
        stays = World(classifier)
        stays.version = BundleNotFoundError("no version with the alias 'production'")
        assert await stays.watcher.check() == "unreachable"
        assert stays.installed == []

    run(scenario())


def test_it_looks_by_itself(classifier: Classifier) -> None:
    async def scenario() -> None:
        world = World(classifier, every=0.001)
        task = asyncio.create_task(world.watcher.run())
        for version in ("2", "3"):
            world.version = version
            async with asyncio.timeout(20):
                while world.installed[-1:] != [version]:
                    await asyncio.sleep(0.001)
        task.cancel()

    run(scenario())


def replaced(place: Path, names: tuple[str, ...], **info: Any) -> None:
    shutil.rmtree(place, ignore_errors=True)
    write_tiny_bundle(place, names=names, **info)


def test_a_folder_that_is_replaced_is_followed_and_versions_can_be_told_apart(tmp_path: Path) -> None:
    place = tmp_path / "model"
    replaced(place, ("cat", "dog", "lion"))

    async def label(service: ModelService) -> tuple[str, str]:
        photo = UploadedPhoto("a.jpg", encoded(RED))
        with service.using(photos=[photo]) as model:
            (outcome,) = await service.predict([photo], model=model)
            return model.info.version, outcome.result.prediction.label

    async def scenario() -> None:
        service = ModelService()
        settings = Settings(model=(f"zoo={place}",), engine="onnxruntime", threads=1)
        await install_models(service, settings)
        (watcher,) = service.watchers
        assert await label(service) == ("1", "cat")
        replaced(place, ("wolf", "bear", "fox"), version="2")
        assert await watcher.check() == "swapped"
        assert await label(service) == ("2", "wolf")
        replaced(place, ("hare", "deer", "boar"), version="2")
        assert await watcher.check() == "swapped"
        version, name = await label(service)
        assert version.startswith("2+")
        assert name == "hare"
        assert service.models.find("zoo").current.info.name == "zoo"
        (place / "model.onnx").write_bytes(b"damaged")
        assert await watcher.check() == "same", "what is loaded needs no file"
        assert await label(service) == (version, "hare")
        shutil.rmtree(place)
        assert await watcher.check() == "unreachable"
        service.close()

    run(scenario())


def test_what_answers_with_numbers_that_are_none_is_refused(tmp_path: Path) -> None:
    from animal_classification.serving.models import loader as module

    settings = Settings(engine="onnxruntime", threads=1)
    path = write_tiny_bundle(tmp_path / "tiny")
    loader = ModelLoader(settings, Limits())
    assert loader.load(parse_source(str(path))).title == "tiny 1"

    class Nan:
        probability = float("nan")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "warm_up", lambda _: Nan())
        with pytest.raises(BundleInvalidError, match="numbers that are none"):
            loader.load(parse_source(str(path)))


def test_built_in_models_are_not_watched_and_urls_are(tmp_path: Path) -> None:
    import fsspec

    loader = ModelLoader(Settings(), Limits())
    assert loader.fingerprint(parse_source("photos")) is None
    path = write_tiny_bundle(tmp_path / "tiny")
    memory = fsspec.filesystem("memory")
    memory.pipe("/zoo/bundle.json", (path / "bundle.json").read_bytes())
    remote, local = (loader.fingerprint(parse_source(model)) for model in ("memory://zoo", str(path)))
    assert remote == local
    with pytest.raises(BundleNotFoundError, match=r"memory://lost: bundle\.json cannot be read"):
        loader.fingerprint(parse_source("memory://lost"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": ("{tiny}", "{tiny}")}, "two models go by the name 'tiny'"),
        ({"model": ("{tiny}",), "canary": ("zoo={tiny}@0.1",)}, "canary '.*': there is no model 'zoo' here; tiny"),
        ({"model": ("{tiny}",), "shadow": ("{tiny}", "tiny={tiny}")}, "shadow '.*': 'tiny' has a shadow already"),
    ],
)
def test_plans_that_cannot_be(tmp_path: Path, settings: dict[str, tuple[str, ...]], words: str) -> None:
    tiny = str(write_tiny_bundle(tmp_path / "tiny"))
    given: Any = {key: tuple(text.format(tiny=tiny) for text in value) for key, value in settings.items()}

    async def scenario() -> None:
        with pytest.raises(UsageError, match=words):
            await install_models(ModelService(), Settings(engine="onnxruntime", threads=1, **given))

    run(scenario())

"""A zoo whose cameras see the night: photos of animals, the same by night, a model in production, and reviewers.

Everything that a loop needs and a test can make in seconds: base photos, a log with answers for night photos, and
stand-in reviewers who say what these show.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageOps

from animal_classification import bundle as bundles
from animal_classification.config.compose import tree
from animal_classification.inference.classifier import Classifier
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.feedback import Feedback, add
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.photo_store import PhotoFolder
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.store import insert
from animal_classification.registry import promote, register
from animal_classification.training.train import train
from tests.support.log_records import record

SIDE = 288


@dataclass(frozen=True)
class NightPhoto:
    """A photo by night, and what it shows."""

    data: bytes
    label: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def small(file: Path) -> Image.Image:
    """The photo, small enough that a test decodes hundreds."""
    with Image.open(file) as photo:
        photo.draft("RGB", (SIDE, SIDE))
        return ImageOps.contain(photo.convert("RGB"), (SIDE, SIDE))


def by_night(photo: Image.Image, seed: int) -> bytes:
    """Grey, dark and noisy, as an infra-red camera sees."""
    grey = np.asarray(photo.convert("L"), dtype=np.float32)
    dark = 0.28 * grey + np.random.default_rng(seed).normal(0, 9, grey.shape)
    data = io.BytesIO()
    Image.fromarray(np.clip(dark, 0, 255).astype(np.uint8)).convert("RGB").save(data, "JPEG", quality=85)
    return data.getvalue()


@dataclass(frozen=True)
class NightZoo:
    """A place with base photos in ``photos``, a registry, a log, and ``loop.yaml``.

    Attributes:
        root: Its folder.
        night: Photos by night that nobody trained on.
    """

    root: Path
    night: tuple[NightPhoto, ...]

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.root / 'registry.db'}"

    @property
    def log(self) -> LogLocation:
        return LogLocation(folder=self.root / "log")

    @property
    def config(self) -> Path:
        return self.root / "loop.yaml"

    def configure(self, **parts: object) -> None:
        """Write ``loop.yaml``; parts replace those of the usual one."""
        usual: dict[str, object] = {
            "model": "zoo",
            "data": "photos",
            "folder": "loop",
            "train": ["recipe=probe", "tracking=none", f"data.cache={self.root / 'cache'}", "recipe.flips=false"],
            "registry": self.uri,
            "log": {"folder": "log"},
            "start": {"labels": 40, "enough": 40, "every_days": 0},
            "gate": {"cost": False},
            "canary": {"shares": [0.5], "answers": 60, "minutes": 0},
            "watch": {"days": 0},
        }
        self.config.write_text(yaml.safe_dump(usual | parts), encoding="utf-8")

    def train_production(self) -> None:
        """Train on the base photos and put the model into production."""
        words = ["data=folder", f"data.path={self.root / 'photos'}", "name=zoo", f"output={self.root / 'runs'}"]
        loop = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        result = train(tree([*words, *loop["train"]]).config())
        register(result.bundle, name="zoo", uri=self.uri)
        promote("zoo/1", uri=self.uri)

    def answer(self, model: Classifier, photos: list[NightPhoto], version: str, **given: object) -> list[str]:
        """Log a model's answers to photos, as a server does, and keep the photos; returns the predictions' ids."""
        engine = connect(self.log.database)
        migrate(engine)
        store = PhotoFolder(Path(self.log.photos))
        rows: list[PredictionRecord] = []
        for photo in photos:
            said = model.predict(photo.data)
            store.put(photo.sha256, photo.data)
            rows.append(
                record(
                    model="zoo",
                    version=version,
                    photo=photo.sha256,
                    label=said.label,
                    label_id=said.label_id,
                    probability=said.probability,
                    unknown=said.unknown,
                    answer=said.answer.name,
                    level=said.answer.level,
                    **given,
                )
            )
        assert not insert(engine, rows)
        engine.dispose()
        return [row.id for row in rows]

    def review(self, ids: list[str], photos: list[NightPhoto]) -> None:
        """Say of each photo what it shows, as three reviewers in turn."""
        engine = connect(self.log.database)
        for number, (identity, photo) in enumerate(zip(ids, photos, strict=True)):
            word = Feedback(
                prediction=identity,
                verdict="corrected",
                label=photo.label,
                label_id=photo.label,
                who=f"reviewer {number % 3}",
            )
            assert add(engine, word) is not None
        engine.dispose()


def right(model: Classifier, photos: list[NightPhoto]) -> float:
    """Share of photos that a model names rightly."""
    return float(np.mean([model.predict(photo.data).label_id == photo.label for photo in photos]))


def build(root: Path, source: Path, *, base: int = 600, night: int = 204, classes: int = 12) -> NightZoo:
    """Make a zoo of photos: a model in production, and photos by night that it has not seen."""
    found = [path for path in source.iterdir() if path.is_dir()]
    folders = sorted(sorted(found, key=lambda path: (-len(list(path.iterdir())), path.name))[:classes])
    photos: list[NightPhoto] = []
    each, each_night = base // len(folders), night // len(folders)
    for folder in folders:
        files = sorted(folder.iterdir())[: each + each_night]
        for number, file in enumerate(files):
            picture = small(file)
            if number < each:
                target = root / "photos" / folder.name / f"{number}.jpg"
                target.parent.mkdir(parents=True, exist_ok=True)
                picture.save(target, "JPEG", quality=90)
            else:
                photos.append(NightPhoto(by_night(picture, number), folder.name))
    order = np.random.default_rng(0).permutation(len(photos))
    zoo = NightZoo(root, tuple(photos[index] for index in order))
    zoo.configure()
    zoo.train_production()
    return zoo


def bundle_of(zoo: NightZoo, reference: str) -> Classifier:
    """A registered model, ready to answer."""
    from animal_classification.registry import resolve

    return Classifier.load(bundles.load(resolve(f"models:/zoo@{reference}", uri=zoo.uri)))

"""A loop whose cycle takes seconds: drawn pictures of three classes, words on them, and nothing to wait for."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import yaml

from animal_classification.config.compose import tree
from animal_classification.loop.config import LoopConfig, load_config
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.feedback import Feedback, add
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.photo_store import PhotoFolder
from animal_classification.prediction_log.store import insert
from animal_classification.registry import promote, register
from animal_classification.training.train import train
from tests.support.log_records import record
from tests.unit.data.drawing import draw_classes, picture

CLASSES = ("cat", "dog", "owl")


def configure(root: Path, **parts: object) -> Path:
    """Write ``loop.yaml``: no shadow, one short canary, promoted without a person."""
    usual: dict[str, object] = {
        "model": "tiny",
        "data": "photos",
        "folder": "loop",
        "train": ["recipe=probe", "tracking=none", f"data.cache={root / 'cache'}", "recipe.flips=false"],
        "registry": f"sqlite:///{root / 'registry.db'}",
        "auto": "promote",
        "log": {"folder": "log"},
        "start": {"labels": 1, "enough": 1, "every_days": 0},
        "collect": {"most_of_class": 1.0, "check_labels": False},
        # The pictures are noise, and the gate is not what is tried here.
        "gate": {"cost": False, "margin": 100, "margin_few": 100, "calibration": 100, "unknown": 100},
        "shadow": {"on": False},
        "canary": {"shares": [0.5], "answers": 0, "minutes": 0},
        "watch": {"days": 0},
    }
    file = root / "loop.yaml"
    file.write_text(yaml.safe_dump(usual | parts), encoding="utf-8")
    return file


def place(root: Path, *, each: int = 12) -> LoopConfig:
    """Pictures, and a model of them in production."""
    draw_classes(root / "photos", dict.fromkeys(CLASSES, each))
    config = load_config(configure(root))
    words = ["data=folder", f"data.path={root / 'photos'}", "name=tiny", f"output={root / 'runs'}", *config.train]
    register(train(tree(words).config()).bundle, name="tiny", uri=config.registry)
    promote("tiny/1", uri=config.registry)
    return config


def say(root: Path, count: int, *, first: int = 0, **given: object) -> list[str]:
    """Log answers to new pictures and one word on each; returns the hashes of the photos."""
    folder = root / "log"
    engine = connect(f"sqlite:///{(folder / 'predictions.db').absolute()}")
    migrate(engine)
    store = PhotoFolder(folder / "photos")
    hashes = []
    for number in range(first, first + count):
        data = io.BytesIO()
        picture(90_000 + number).save(data, "PNG")
        photo = hashlib.sha256(data.getvalue()).hexdigest()
        store.put(photo, data.getvalue())
        row = record(model="tiny", version="1", photo=photo, label_id="cat")
        assert not insert(engine, [row])
        label = CLASSES[number % len(CLASSES)]
        word = Feedback(prediction=row.id, verdict="corrected", label=label, label_id=label, who=f"r{number % 4}")
        assert add(engine, replace(word, **given)) is not None  # type: ignore[arg-type]
        hashes.append(photo)
    engine.dispose()
    return hashes

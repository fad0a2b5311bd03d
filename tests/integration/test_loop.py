"""The closed loop as its operator meets it: night comes, people say what they see, and a better model gets into use."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from animal_classification import bundle as bundles
from animal_classification.cli.main import main
from animal_classification.data.manifest import Manifest
from animal_classification.inference.classifier import Classifier
from animal_classification.loop.config import load_config
from animal_classification.loop.steps import gate_bundle
from animal_classification.loop.workplace import open_workplace
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.shadow_rows import ShadowRow, answered, disagreements, keep
from animal_classification.prediction_log.store import insert
from animal_classification.registry import Registry
from animal_classification.training.train import train
from tests.support.log_records import record
from tests.support.night_zoo import NightPhoto, NightZoo, build, bundle_of, right

REVIEWED = 60
pytestmark = [pytest.mark.photos, pytest.mark.timeout(900)]  # a minute where nothing else runs


@pytest.fixture(scope="module")
def zoo(photos_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> NightZoo:
    return build(tmp_path_factory.mktemp("zoo"), photos_dir / "animals22")


def production(zoo: NightZoo) -> int | None:
    return Registry.open(zoo.uri).aliases("zoo").get("production")


def loop(zoo: NightZoo, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["loop", *words, "--config", str(zoo.config)])
    out, err = capsys.readouterr()
    return code, out, err


def beside(zoo: NightZoo, model: Classifier, version: str, ids: list[str], photos: list[NightPhoto]) -> None:
    """What a shadow says of photos that were answered, as a server keeps it."""
    engine = connect(zoo.log.database)
    said = [(identity, model.predict(photo.data)) for identity, photo in zip(ids, photos, strict=True)]
    rows = [
        ShadowRow(
            prediction=identity,
            model="zoo",
            version=version,
            label_id=one.label_id,
            probability=one.probability,
            unknown=one.unknown,
        )
        for identity, one in said
    ]
    assert not keep(engine, rows)
    engine.dispose()


def test_from_a_night_to_a_better_model_and_back(zoo: NightZoo, capsys: pytest.CaptureFixture[str]) -> None:
    zoo.configure(watch={"days": 7})
    before = bundle_of(zoo, "production")
    reviewed, others = list(zoo.night[:REVIEWED]), list(zoo.night[REVIEWED:])

    # 1. Without words nothing is due; sixty begin a cycle, which passes the gate and waits for people.
    assert loop(zoo, capsys, "run")[0] == 0
    zoo.review(zoo.answer(before, reviewed, "1"), reviewed)
    code, out, err = loop(zoo, capsys, "run")
    assert code == 3, out + err
    assert "gated" in out
    assert "queue=disagree" in err
    assert production(zoo) == 1  # nobody was asked yet

    # 2. Night goes on: the candidate answers beside production, and people judge where the two differ.
    candidate = bundle_of(zoo, "shadow")
    ids = zoo.answer(before, others, "1")
    beside(zoo, candidate, "2", ids, others)
    engine = connect(zoo.log.database)
    differ = {one.prediction for one in disagreements(engine, "zoo", "2")}
    engine.dispose()
    judged = [(identity, photo) for identity, photo in zip(ids, others, strict=True) if identity in differ]
    zoo.review([identity for identity, _ in judged], [photo for _, photo in judged])
    code, out, err = loop(zoo, capsys, "run")
    assert (code, "canary" in out) == (0, True), out + err
    assert Registry.open(zoo.uri).aliases("zoo")["canary"] == 2

    # 3. It answers a share of requests, and nothing is wrong: a person is told what to type, and types it.
    zoo.answer(candidate, others[:60], "2", canary=True)
    code, out, err = loop(zoo, capsys, "run")
    assert code == 3, out + err
    assert "animals loop run --yes" in err
    assert production(zoo) == 1
    code, out, err = loop(zoo, capsys, "run", "--yes")
    assert code == 0, out + err
    assert production(zoo) == 2
    assert set(Registry.open(zoo.uri).aliases("zoo")) == {"production"}
    gain = right(bundle_of(zoo, "production"), others) - right(before, others)
    assert gain >= 0.08, f"{100 * gain:+.1f} points on night photos that nobody has learned from"

    # 4. A class vanishes from its answers: it is taken back in the next run.
    engine = connect(zoo.log.database)
    usual = answered(engine, "zoo", "1", datetime.now(UTC) - timedelta(days=1)).labels
    gone = max(usual, key=usual.__getitem__)
    others_left = sorted(set(usual) - {gone})
    answers = [others_left[number % len(others_left)] for number in range(400)]
    rows = [
        record(model="zoo", version="2", photo=f"{number:064x}", label=label, label_id=label)
        for number, label in enumerate(answers)
    ]
    assert not insert(engine, rows)
    engine.dispose()
    code, out, err = loop(zoo, capsys, "run")
    assert code == 0, out + err
    assert f"{gone!r} has vanished" in out, out + err
    assert production(zoo) == 1

    # 5. All of it is written down, twice, and shown.
    code, out, err = loop(zoo, capsys, "history", "--verify", "--json")
    assert code == 0, err
    rows_told = json.loads(out)["transitions"]
    states = [row["state"] for row in rows_told]
    assert states == ["collected", "trained", "gated", "shadow", "canary", "canary", "promoted", "closed"]
    assert len({row["frozen"] for row in rows_told}) == 1
    page = (zoo.root / "loop" / "ZOO-0001" / "report.html").read_text(encoding="utf-8")
    assert "has vanished" in page
    gate = json.loads((zoo.root / "loop" / "ZOO-0001" / "gate.json").read_text(encoding="utf-8"))
    assert page.count("<figure>") == len(gate["changed"]) >= 1
    manifest = Manifest.read(zoo.root / "photos" / "feedback" / "ZOO-0001" / "manifest.parquet")
    assert {row.split for row in manifest} == {"train", "val", "test", "fresh"}


def worse_verdicts(zoo: NightZoo, seeds: range) -> list[str]:
    """The gate's verdicts on candidates that learned from labels of which one in five is wrong."""
    config = load_config(zoo.config)
    verdicts: list[str] = []
    with open_workplace(config) as work:
        series = work.series()
        current = work.data(work.cycles(), series)
        for seed in seeds:
            place = zoo.root / f"worse-{seed}.parquet"
            shuffled(current, seed).write(place)
            output = str(zoo.root / f"worse-{seed}")
            training = work.training({"data.path": str(place), "data.kind": "manifest", "output": output})
            verdicts.append(gate_bundle(work, bundles.load(train(training).bundle)).verdict)
    return verdicts


def shuffled(manifest: Manifest, seed: int, share: float = 0.2) -> Manifest:
    """The same with the labels of some training photos exchanged among them."""
    lot = np.random.default_rng(seed)
    rows = list(manifest.rows)
    places = [index for index, row in enumerate(rows) if row.split == "train"]
    chosen = lot.choice(places, round(share * len(places)), replace=False).tolist()
    labels = [rows[index].label for index in chosen]
    moved = np.roll(labels, 1 + int(lot.integers(len(labels) - 1))).tolist()
    for index, label in zip(chosen, moved, strict=True):
        rows[index] = replace(rows[index], label=label)
    return manifest.with_rows(rows)


def test_a_worse_candidate_does_not_pass(zoo: NightZoo) -> None:
    assert "pass" not in worse_verdicts(zoo, range(1))


@pytest.mark.nightly
@pytest.mark.timeout(7200)  # twenty trainings
def test_a_worse_candidate_never_passes(zoo: NightZoo) -> None:
    verdicts = worse_verdicts(zoo, range(1, 21))
    assert len(verdicts) == 20
    assert "pass" not in verdicts

"""A deletion request reaches what the loop has collected, and the loop goes on without the photo."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from animal_classification.cli.main import main
from animal_classification.data.manifest import Manifest
from animal_classification.loop.config import load_config
from animal_classification.loop.lock import only_one
from animal_classification.loop.workplace import open_workplace
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.feedback import Feedback, add
from animal_classification.prediction_log.photo_store import PhotoFolder
from animal_classification.prediction_log.store import insert
from tests.support.log_records import record
from tests.support.loop_place import configure, place, say

CYCLE = "TINY-0001"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loop whose first cycle has collected; the tests work on copies."""
    root = tmp_path_factory.mktemp("collected")
    place(root)
    say(root, 9)
    say(root, 2, first=20, verdict="none", label=None, label_id=None)
    assert main(["loop", "run", "--until", "collect", "--config", str(root / "loop.yaml")]) == 0
    return root


@pytest.fixture(scope="module")
def trained(collected: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, after the gate."""
    root = copy_of(collected, tmp_path_factory.mktemp("trained") / "place")
    assert main(["loop", "run", "--until", "gate", "--config", str(root / "loop.yaml")]) == 0
    return root


def copy_of(root: Path, target: Path) -> Path:
    """The same somewhere else; the registry's files stay where they are."""
    shutil.copytree(root, target)
    configure(target)
    relocate(target, root)
    return target


def relocate(target: Path, root: Path) -> None:
    """Let the ledger name the new place: paths in it are absolute, and so it is chained anew."""
    from sqlalchemy import delete

    from animal_classification.prediction_log.database import writing
    from animal_classification.prediction_log.tables import loop

    with open_workplace(load_config(target / "loop.yaml")) as work:
        rows = work.ledger.transitions()
        with writing(work.engine) as connection:
            connection.execute(delete(loop))
        for file in work.home.glob("*/audit.jsonl"):
            file.unlink()
        for row in rows:
            decision = json.loads(json.dumps(row.decision).replace(str(root), str(target)))
            work.ledger.append(replace(row, decision=decision))


def forget(root: Path, *words: str) -> int:
    return main(["monitor", "forget", "--loop", str(root / "loop.yaml"), *words])


def told(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> dict[str, Any]:
    """The command's answer as JSON."""
    capsys.readouterr()
    assert forget(root, "--json", *words) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def folder(root: Path) -> Path:
    return root / "photos" / "feedback" / CYCLE


def labels(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder(root) / "labels.jsonl").read_text(encoding="utf-8").splitlines()]


def files_with(root: Path, *words: str) -> list[Path]:
    """Files that have one of these in their name or anywhere inside; the registry and the first training aside."""
    places = [root / name for name in ("photos", "loop", "log", "cache")]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    return [path for path in files if any(word in path.name or word.encode() in path.read_bytes() for word in words)]


def states(root: Path) -> list[str]:
    with open_workplace(load_config(root / "loop.yaml")) as work:
        assert work.ledger.verify() == []
        return [row.state for row in work.ledger.transitions()]


def test_nothing_of_a_collected_photo_is_left(collected: Path, tmp_path: Path, capsys: Any) -> None:
    root = copy_of(collected, tmp_path / "place")
    one, *others = labels(root)
    assert files_with(root, one["photo"])
    done = told(capsys, root, one["photo"])
    assert (done["predictions"], done["words"], done["photos"]) == (1, 1, 1)
    (loop,) = done["loops"]
    assert (loop["photos"], loop["cycles"], loop["learned"], loop["own"]) == (1, [CYCLE], [], [])
    assert files_with(root, one["photo"], one["prediction"]) == []
    assert labels(root) == others
    manifest = Manifest.read(folder(root) / "manifest.parquet")
    assert {row.sha256 for row in manifest} >= {other["sha256"] for other in others}
    assert one["sha256"] not in {row.sha256 for row in manifest}
    assert all(manifest.file(row).is_file() for row in manifest)
    assert states(root) == ["collected", "forgotten"]
    result = json.loads((folder(root) / "collection.json").read_text(encoding="utf-8"))
    assert result["data_version"] == manifest.version

    assert forget(root, one["photo"]) == 1, "nothing is left"
    assert states(root) == ["collected", "forgotten"]
    # The cycle that had it goes on, and trains without it.
    assert main(["loop", "run", "--until", "gate", "--config", str(root / "loop.yaml")]) in (0, 1, 3)
    assert states(root)[:4] == ["collected", "forgotten", "trained", "gated"]
    with open_workplace(load_config(root / "loop.yaml")) as work:
        (cycle,) = work.cycles()
        assert cycle.value("data_version") == manifest.version


def test_a_photo_of_no_class_and_one_that_people_disagree_on(collected: Path, tmp_path: Path, capsys: Any) -> None:
    root = copy_of(collected, tmp_path / "place")
    first, second = sorted((folder(root) / "unknown").iterdir())
    disputed = "ab" * 32
    with (folder(root) / "conflict.csv").open("a", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([(disputed, "cat", "'=ann()", "", "p"), ("cd" * 32, "cat", "bob", "", "q")])
    done = told(capsys, root, str(first), disputed)  # by a file, as it lies there
    assert done["loops"][0]["photos"] == 2
    assert not first.exists()
    assert second.exists()
    assert files_with(root, first.stem, disputed) == []
    assert "'=ann()" not in (folder(root) / "conflict.csv").read_text(encoding="utf-8")
    assert "cd" * 32 in (folder(root) / "conflict.csv").read_text(encoding="utf-8")


def test_it_is_never_collected_again(collected: Path, tmp_path: Path, capsys: Any) -> None:
    root = copy_of(collected, tmp_path / "place")
    one = labels(root)[0]
    data = (root / "photos" / f"feedback/{CYCLE}/photos" / Path(one["path"]).name).read_bytes()
    assert forget(root, one["photo"]) == 0
    assert main(["loop", "stop", CYCLE, "--config", str(root / "loop.yaml")]) == 0
    # Another replica still had its row and its photo, and somebody says something of it once more.
    engine = connect(f"sqlite:///{root / 'log' / 'predictions.db'}")
    PhotoFolder(root / "log" / "photos").put(one["photo"], data)
    row = record(model="tiny", version="1", photo=one["photo"])
    assert not insert(engine, [row])
    assert add(engine, Feedback(prediction=row.id, verdict="corrected", label="cat", label_id="cat"))
    engine.dispose()
    say(root, 1, first=40)
    # And a labelling tool has a copy, under its own hash and under another name.
    export = tmp_path / "export"
    export.mkdir()
    (export / "a.png").write_bytes(data)
    capsys.readouterr()
    assert main(["loop", "collect", "--json", "--config", str(root / "loop.yaml")]) == 0
    decision = json.loads(capsys.readouterr().out)["decision"]
    assert (decision["added"], decision["forgotten"]) == (1, 1)
    assert main(["loop", "stop", "TINY-0002", "--config", str(root / "loop.yaml")]) == 0
    table = export / "labels.csv"
    table.write_text(f"sha256,label\n{hashlib.sha256(data).hexdigest()},cat\n", encoding="utf-8")
    assert main(["loop", "collect", "--from", str(table), "--config", str(root / "loop.yaml")]) == 2
    assert "1 photos are left out that somebody asked to have deleted" in capsys.readouterr().err
    assert files_with(root, one["path"]) == []


def test_models_that_learned_from_it_are_named(trained: Path, tmp_path: Path, capsys: Any) -> None:
    root = copy_of(trained, tmp_path / "place")
    learned = next(one for one in labels(root) if one["split"] == "train")
    fresh = next(one for one in labels(root) if one["split"] == "fresh")
    (loop,) = told(capsys, root, learned["prediction"])["loops"]  # by the id of its prediction
    assert (loop["learned"], loop["tested"]) == ([CYCLE], [])
    (loop,) = told(capsys, root, fresh["photo"])["loops"]
    assert (loop["learned"], loop["tested"]) == ([], [CYCLE])
    with open_workplace(load_config(root / "loop.yaml")) as work:
        rows = [row.decision for row in work.ledger.transitions() if row.state == "forgotten"]
    assert [row["learned"] for row in rows] == [[CYCLE], []]
    ledger = json.dumps(rows)
    assert not any(one["photo"] in ledger or one["sha256"] in ledger for one in (learned, fresh))
    left = {path.parent.name for path in files_with(root, learned["photo"], fresh["photo"])}
    assert left <= {"bundle"}, "the report and the gate's file are without them, too; a model is as it was"
    assert (root / "loop" / CYCLE / "report.html").is_file()
    capsys.readouterr()
    assert main(["loop", "show", CYCLE, "--config", str(root / "loop.yaml")]) == 0
    assert "1 photos were deleted on request" in capsys.readouterr().out
    # The open cycle is where it was.
    assert main(["loop", "run", "--config", str(root / "loop.yaml")]) in (0, 1)
    assert "closed" in states(root)


def test_a_frozen_photo_of_the_operator_s_own(collected: Path, tmp_path: Path, capsys: Any) -> None:
    root = copy_of(collected, tmp_path / "place")
    frozen = root / "loop" / "series-1" / "frozen.parquet"
    manifest = Manifest.read(frozen)
    row = manifest.rows[0]
    (loop,) = told(capsys, root, str(manifest.file(row)))["loops"]
    assert loop["own"] == [str(manifest.file(row))]
    assert manifest.file(row).is_file(), "it is not the loop's to delete"
    for path in (frozen, frozen.with_name("base.parquet"), folder(root) / "manifest.parquet"):
        assert row.sha256 not in {one.sha256 for one in Manifest.read(path)}
    assert len(Manifest.read(frozen)) == len(manifest) - 1


@pytest.mark.nightly
def test_fresh_photos_that_became_test_photos(collected: Path, tmp_path: Path, capsys: Any) -> None:
    root = copy_of(collected, tmp_path / "place")
    fresh = next(one for one in labels(root) if one["split"] == "fresh")
    words = ["--new-frozen", "--until", "collect", "--config", str(root / "loop.yaml")]
    assert main(["loop", "run", *words]) in (0, 1, 3)
    frozen = root / "loop" / "series-2" / "frozen.parquet"
    assert fresh["sha256"] in {row.sha256 for row in Manifest.read(frozen)}
    assert told(capsys, root, fresh["photo"])["loops"][0]["photos"] == 1
    assert fresh["sha256"] not in {row.sha256 for row in Manifest.read(frozen)}


def test_a_loop_that_was_not_named_is_told_of(collected: Path, tmp_path: Path, capsys: Any) -> None:
    root = copy_of(collected, tmp_path / "place")
    one, other, *_ = labels(root)
    log = ["--log-folder", str(root / "log")]
    assert main(["monitor", "forget", one["photo"], *log]) == 1
    out, err = capsys.readouterr()
    assert "deleted 1 predictions" in out
    assert f"the loop of {CYCLE} ({folder(root)}) has collected from this log, too" in err
    assert forget(root, one["photo"], *log) == 0
    assert main(["monitor", "forget", one["photo"], *log]) == 1
    assert "--loop" not in capsys.readouterr().err, "it has nothing of the photo any more"
    shutil.rmtree(folder(root))
    assert main(["monitor", "forget", other["photo"], *log]) == 1
    assert "forget again with its --loop" in capsys.readouterr().err, "nobody can see that from here"


def test_clear_says_what_a_loop_keeps(collected: Path, tmp_path: Path, capsys: Any) -> None:
    root = copy_of(collected, tmp_path / "place")
    capsys.readouterr()
    assert main(["monitor", "clear", "--yes", "--log-folder", str(root / "log")]) == 0
    assert f"what a loop has collected stays: {folder(root)}" in capsys.readouterr().out
    photo = labels(root)[0]
    assert forget(root, photo["prediction"]) == 0, "the log knows it no more, and the loop does"
    assert files_with(root, photo["photo"]) == []


def test_while_the_loop_is_at_work_the_log_is_cleaned_and_the_rest_is_done_next_time(
    collected: Path, tmp_path: Path, capsys: Any
) -> None:
    root = copy_of(collected, tmp_path / "place")
    one = labels(root)[0]
    with only_one(root / "loop"):
        assert forget(root, one["prediction"]) == 1
        assert "is at work in process" in capsys.readouterr().err
    (loop,) = told(capsys, root, one["prediction"])["loops"]  # whose row is gone by now
    assert loop["photos"] == 1
    assert files_with(root, one["photo"]) == []


def test_a_changed_ledger_keeps_no_photo(collected: Path, tmp_path: Path, capsys: Any) -> None:
    root = copy_of(collected, tmp_path / "place")
    one = labels(root)[0]
    audit = root / "loop" / CYCLE / "audit.jsonl"
    audit.write_text(audit.read_text(encoding="utf-8").replace('"sha": "', '"sha": "0'), encoding="utf-8")
    assert forget(root, one["photo"]) == 1
    assert "ledger" in capsys.readouterr().err
    left = files_with(root, one["photo"])
    assert {path.name for path in left} == {"forgetting.json"}, "only the request, which is not at its end"


@pytest.mark.nightly
def test_before_the_first_cycle_it_stands_under_number_0(tmp_path: Path) -> None:
    root = tmp_path
    place(root)
    say(root, 6)
    words = ["--config", str(root / "loop.yaml")]
    with open_workplace(load_config(root / "loop.yaml")) as work:
        work.series()
    photo = Manifest.read(root / "loop" / "series-1" / "base.parquet").rows[0].sha256
    assert forget(root, str(photo)) == 0
    with open_workplace(load_config(root / "loop.yaml")) as work:
        assert [row.cycle for row in work.ledger.transitions()] == ["TINY-0000"]
        assert work.cycles() == []
    assert main(["loop", "run", "--until", "collect", *words]) == 0
    assert states(root) == ["forgotten", "collected"]


def test_the_data_are_dvc_s(collected: Path, tmp_path: Path, capsys: Any) -> None:
    root = copy_of(collected, tmp_path / "place")
    (root / "photos.dvc").write_text("outs:\n- path: photos\n", encoding="utf-8")
    assert forget(root, labels(root)[0]["photo"]) == 0
    err = capsys.readouterr().err
    assert "git commit" in err
    assert "dvc gc --workspace --cloud" in err


def ends(root: Path, photo: str, first: int, step: int) -> list[dict[str, Any]]:
    words = [sys.executable, "-m", "tests.support.forget_killer", str(root), photo, str(first), str(step)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
@pytest.mark.parametrize(("first", "step", "least"), [(11, 14, 1), pytest.param(0, 1, 15, marks=pytest.mark.nightly)])
def test_killed_at_any_moment(collected: Path, first: int, step: int, least: int) -> None:
    """Doing it again finishes it, and ends as one that was not killed."""
    *killed, undisturbed = ends(collected, labels(collected)[0]["photo"], first, step)
    assert len(killed) >= least
    assert undisturbed["states"] == ["collected", "forgotten"]
    assert undisturbed["ledger"] == [None, 1]
    assert (undisturbed["problems"], undisturbed["naming"], undisturbed["listed"]) == ([], [], True)
    assert (len(undisturbed["kept"]), undisturbed["words"]) == (10, 10)
    for found in killed:
        assert found == undisturbed

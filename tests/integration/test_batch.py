"""Batches on this machine: among kills, broken files and a file that ends the process, each photo gets one row."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pytest

from animal_classification.cli.main import main
from animal_classification.inference import Classifier
from tests.support.batches import (
    Kills,
    Trouble,
    after_shards,
    every_seconds,
    plant_trouble,
    shards_in,
    start_batch,
    table,
    workers_of,
)
from tests.support.predicting import PHOTOS, run
from tests.support.tiny_bundle import write_tiny_bundle

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals")
ENGINE = ("--engine", "onnxruntime")  # quick to start


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def planted(tmp_path: Path) -> Trouble:
    return plant_trouble(tmp_path / "photos", 60, broken=4, vanishing=2, fatal=False)


def plan(trouble: Trouble, batch: Path, model: Path, *more: object) -> None:
    words = ("batch", "plan", trouble.folder, "--output", batch, "--model", model, "--shard", 10, "--json", *more)
    assert main([str(word) for word in words]) == 0


def work(batch: Path, workers: int = 1) -> None:
    """Workers, whose parent is this process."""
    assert main(["batch", "run", str(batch), "--workers", str(workers), *ENGINE, "--json"]) == 0


def merged(batch: Path) -> dict[str, list[str]]:
    output = batch.parent / f"{batch.name}.csv"
    assert main(["batch", "merge", str(batch), "--output", str(output), "--overwrite", "--json"]) == 0
    return table(output)


def predicted(trouble: Trouble, model: Path) -> dict[str, list[str]]:
    output = trouble.folder.parent / "predicted.csv"
    assert main(["predict", str(trouble.folder), "--model", str(model), "-o", str(output), "-q", "--overwrite"]) == 0
    return table(output)


def check_all_there(trouble: Trouble, batch: Path, model: Path) -> None:
    """Every photo has one row, which is that of ``animals predict`` where that has one."""
    found = merged(batch)
    assert sorted(found) == trouble.names
    gone = {name: found.pop(name) for name in trouble.vanishing}
    assert {row[-1] for row in gone.values()} <= {"it is not there any more"}
    if trouble.fatal:
        assert found.pop(trouble.fatal)[-1] == "ended the process"
        (trouble.folder / trouble.fatal).unlink()
    assert found == predicted(trouble, model)
    assert sum(row[-1] != "" for row in found.values()) == len(trouble.broken)


def chaos(tmp_path: Path, model: Path, number: int, *, every: float | None, shard: int) -> None:
    trouble = plant_trouble(tmp_path / "photos", number, broken=number // 50, vanishing=number // 200, fatal=True)
    batch = tmp_path / "batch"
    plan(trouble, batch, model, "--shard", shard)
    trouble.vanish()
    process = start_batch(
        "run", batch, "--workers", 2, *ENGINE, "--json", env=trouble.environment(tmp_path / "plugins")
    )
    due = every_seconds(every, lambda: shards_in(batch / "out")) if every else after_shards(batch / "out", 4)
    with process, Kills(process, due) as kills:
        out, err = process.communicate(timeout=1000)
    assert process.returncode == 0, err.decode()
    report = json.loads(out)
    assert report["deaths"] >= kills.count >= 2
    assert not list((batch / "lease").iterdir())
    assert not [name for name in (batch / "tmp").iterdir() if name.is_dir()]
    check_all_there(trouble, batch, model)


@POSIX
def test_workers_are_killed_again_and_again(tmp_path: Path, model: Path) -> None:
    chaos(tmp_path, model, 240, every=None, shard=20)


@POSIX
@pytest.mark.nightly
def test_two_thousand_files_with_a_kill_every_two_seconds(tmp_path: Path, model: Path) -> None:
    chaos(tmp_path, model, 2000, every=2.0, shard=50)


@pytest.mark.parametrize("pack", [(), ("--pack",)])
def test_a_batch_says_what_predict_says(
    tmp_path: Path, model: Path, planted: Trouble, pack: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    batch = tmp_path / "batch"
    plan(planted, batch, model, *pack)
    if not pack:
        planted.vanish()
    else:
        planted.vanishing.clear()  # they lie in a tar as well
    done = run("batch", "run", batch, "--workers", 1, *ENGINE, "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["rows"] == len(planted.names)
    check_all_there(planted, batch, model)
    capsys.readouterr()
    assert main(["batch", "status", str(batch), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["finished"], said["rows"], said["working"]) == (True, 60, 0)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are UTF-8 there")
@pytest.mark.parametrize("pack", [False, True])
def test_no_photo_is_lost_for_a_name_that_is_no_utf8(tmp_path: Path, model: Path, pack: bool) -> None:
    """Of an old camera, or out of an old zip: such names have the rows that ``animals predict`` gives them."""
    photos = os.fsencode(tmp_path / "photos")
    names = [b"caf\xe9.jpg", rb"caf\xe9.jpg", "café.jpg".encode(), b"\xff\xfe/1.jpg", b"a\\b.jpg", b"\xe9/broken.jpg"]
    for name, content in zip(names, [*PHOTOS.values(), *PHOTOS.values()], strict=False):
        path = os.path.join(photos, name)  # noqa: PTH118 - bytes
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - bytes
        with open(path, "wb") as file:  # noqa: PTH123 - bytes
            file.write(b"no photo" if b"broken" in name else content)
    trouble, batch = Trouble(tmp_path / "photos"), tmp_path / "batch"
    plan(trouble, batch, model, "--shard", 2, *(["--pack"] if pack else []))
    work(batch)
    found = merged(batch)
    assert set(found) >= {r"caf\xe9.jpg", r"caf\\xe9.jpg", "café.jpg", r"\xff\xfe/1.jpg", "a\\b.jpg"}
    assert [name for name, row in found.items() if row[-1]] == [r"\xe9/broken.jpg"]
    assert found == predicted(trouble, model)


def test_a_changed_photo_is_said_and_a_second_run_does_nothing(tmp_path: Path, model: Path, planted: Trouble) -> None:
    batch = tmp_path / "batch"
    plan(planted, batch, model)
    (planted.folder / planted.names[7]).unlink()
    (planted.folder / planted.names[7]).write_bytes(b"another one")
    work(batch)
    assert merged(batch)[planted.names[7]][-1] == "changed since the plan"
    before = {path: path.stat().st_mtime_ns for path in (batch / "out").iterdir()}
    again = run("batch", "run", batch, "--workers", 1, *ENGINE, "--json")
    assert json.loads(again.stdout)["rows"] == 0
    assert before == {path: path.stat().st_mtime_ns for path in (batch / "out").iterdir()}


def test_rows_carry_what_the_plan_knew(tmp_path: Path, model: Path, planted: Trouble) -> None:
    batch = tmp_path / "batch"
    plan(planted, batch, model)
    work(batch)
    found = duckdb.sql(f"SELECT path, size, etag, attempts FROM read_parquet('{batch}/out/*.parquet')").fetchall()
    sizes = {name: (planted.folder / name).stat() for name in planted.names}
    assert {path: (size, etag, attempts) for path, size, etag, attempts in found} == {
        name: (status.st_size, str(status.st_mtime_ns), 1) for name, status in sizes.items()
    }
    key = "SELECT value FROM parquet_kv_metadata('%s/out/00000.parquet') WHERE key = 'animals'::BLOB"
    about = json.loads(bytes(duckdb.sql(key % batch).fetchall()[0][0]))
    made = json.loads((batch / "plan.json").read_text())
    assert (about["plan"], about["rows"], about["model_sha256"]) == (made["id"], 10, made["model_sha256"])


def test_a_column_of_embeddings(tmp_path: Path, model: Path, planted: Trouble) -> None:
    batch = tmp_path / "batch"
    plan(planted, batch, model, "--embeddings")
    work(batch)
    assert main(["batch", "merge", str(batch), "--output", str(tmp_path / "all.parquet"), "--json"]) == 0
    for table_of in (f"{batch}/out/*.parquet", f"{tmp_path}/all.parquet"):
        rows = duckdb.sql(f"SELECT path, error, embedding FROM read_parquet('{table_of}')").fetchall()
        assert [path for path, _, _ in rows] == planted.names
        assert all((error is None) == (embedding is not None) for _, error, embedding in rows)
    answers = Classifier.load(str(model), engine="onnxruntime").predict(
        [planted.folder / path for path, error, _ in rows if error is None], embedding=True
    )
    found = np.array([embedding for _, error, embedding in rows if error is None])
    assert found == pytest.approx(np.array([one.embedding for one in answers]), abs=1e-3)
    assert merged(batch) == predicted(planted, model)


@POSIX
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_gives_its_shards_back(tmp_path: Path, model: Path, how: signal.Signals) -> None:
    trouble = plant_trouble(tmp_path / "photos", 1000, broken=0, vanishing=0, fatal=False)
    batch = tmp_path / "batch"
    plan(trouble, batch, model, "--shard", 50)
    process = start_batch("run", batch, "--workers", 2, *ENGINE)
    deadline = time.monotonic() + 60
    while not list((batch / "out").glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = workers_of(process)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().splitlines()[-1].startswith("animals: interrupted")
    assert workers
    assert not any(worker.is_running() for worker in workers)
    assert all(json.loads(path.read_text())["over"] for path in (batch / "lease").iterdir())
    if how is signal.SIGTERM:  # from here on both are the same
        work(batch, workers=2)
        check_all_there(trouble, batch, model)


@POSIX
def test_a_run_that_is_killed_whole_is_gone_on_with_at_once(tmp_path: Path, model: Path) -> None:
    """Parent and workers die together, as a machine does: the next run waits for nobody's lease."""
    trouble = plant_trouble(tmp_path / "photos", 400, broken=0, vanishing=0, fatal=False)
    batch = tmp_path / "batch"
    plan(trouble, batch, model, "--shard", 40)
    process = start_batch("run", batch, "--workers", 2, *ENGINE)
    deadline = time.monotonic() + 60
    while not list((batch / "out").glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = workers_of(process)
    process.kill()
    for worker in workers:
        worker.kill()
    process.communicate(timeout=60)
    psutil.wait_procs(workers, timeout=30)
    begun = time.monotonic()
    work(batch, workers=2)
    assert time.monotonic() - begun < 60, "it waited for leases to become stale"
    check_all_there(trouble, batch, model)


@POSIX
@pytest.mark.nightly
@pytest.mark.timeout(3000)
def test_memory_does_not_grow_with_the_number_of_photos(tmp_path: Path, model: Path) -> None:
    """Ten thousand and a hundred thousand names of four photos: the largest process of a run takes as much for both."""
    peaks = []
    for number in (10_000, 100_000):
        folder = tmp_path / str(number)
        folder.mkdir()
        trouble = plant_trouble(folder / "photos", number, broken=0, vanishing=0, fatal=False)
        plan(trouble, folder / "batch", model, "--shard", 2000)
        process = start_batch("run", folder / "batch", "--workers", 1, *ENGINE, "--json")
        peak = 0
        while process.poll() is None:
            for worker in workers_of(process):
                with suppress(psutil.Error):
                    peak = max(peak, worker.memory_info().rss)
            time.sleep(0.1)
        out, _ = process.communicate()
        assert json.loads(out)["rows"] == number
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0], peaks

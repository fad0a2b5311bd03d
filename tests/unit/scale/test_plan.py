"""Plans: every photo in one shard, memory that does not grow, and what is refused."""

from __future__ import annotations

import json
import os
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from animal_classification.cli.main import main
from animal_classification.data.duckdb_parquet import connect, quoted, read_table, write_table
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.predict.field_request import FieldRules
from animal_classification.predict.writers.parquet import column_types
from animal_classification.scale.estimate import Estimate
from animal_classification.scale.merge import merge
from animal_classification.scale.plan import Plan, load_plan, out_name, read_shard, shard_name
from animal_classification.scale.plan_writer import publish, write_plan
from animal_classification.scale.shard_job import MORE_COLUMNS
from animal_classification.scale.status import rows_of
from animal_classification.scale.storage import LocalFolder
from tests.support.predicting import start
from tests.unit.data.drawing import draw
from tests.unit.scale.plans import empty_plan, names


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(str(tmp_path / "batch"))


def made(folder: LocalFolder, number: int, shard: int) -> Plan:
    plan = write_plan(folder, empty_plan(shard), names(number))
    publish(folder, plan)
    return plan


def test_every_photo_is_in_one_shard_in_order(folder: LocalFolder) -> None:
    plan = made(folder, 25, 10)
    assert (plan.photos, plan.shards, plan.total_bytes) == (25, 3, 25 * 110_000)
    assert load_plan(folder) == plan
    again = [photo for number in range(3) for photo in read_shard(folder, plan, number)]
    assert again == list(names(25))
    assert [rows_of(plan, number) for number in range(3)] == [10, 10, 5]


def test_a_plan_is_not_planned_over(folder: LocalFolder) -> None:
    made(folder, 5, 10)
    with pytest.raises(UsageError, match="holds a plan already"):
        write_plan(folder, empty_plan(10), names(5))


def test_shards_of_another_plan_are_noticed(folder: LocalFolder) -> None:
    plan = made(folder, 5, 10)
    with pytest.raises(AnimalsError, match="is not of this plan"):
        read_shard(folder, replace(plan, id="b" * 32), 0)
    folder.delete(shard_name(0))
    with pytest.raises(AnimalsError, match="is gone: plan again"):
        read_shard(folder, plan, 0)


def test_no_photos_are_no_plan(folder: LocalFolder) -> None:
    with pytest.raises(UsageError, match="no photos in 'photos'"):
        write_plan(folder, empty_plan(10), names(0))
    with pytest.raises(UsageError, match="no plan at"):
        load_plan(folder)


def test_memory_does_not_grow_with_the_number_of_photos(folder: LocalFolder, tmp_path: Path) -> None:
    peaks = []
    for number in (4_000, 16_000):
        tracemalloc.start()
        made(LocalFolder(str(tmp_path / str(number))), number, 400)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def finish(folder: LocalFolder, plan: Plan, number: int) -> None:
    """Rows as a worker puts them."""
    types = {"path": "VARCHAR", "error": "VARCHAR"}
    rows = [{"path": photo.name, "error": None} for photo in read_shard(folder, plan, number)]
    file = folder.root / "rows.parquet"
    write_table(file, rows, types, json.dumps({"plan": plan.id, "shard": number}))
    folder.put_new(out_name(number), file.read_bytes())


def test_merge_wants_all_shards_of_this_plan(folder: LocalFolder, tmp_path: Path) -> None:
    plan = made(folder, 25, 10)
    finish(folder, plan, 0)
    finish(folder, plan, 2)
    with pytest.raises(UsageError, match="1 of 3 shards have no rows yet"):
        merge(folder, tmp_path / "m.parquet")
    folder.put_new(out_name(1), folder.read(out_name(0)))
    with pytest.raises(AnimalsError, match=r"out/00001.parquet is not shard 1 of this plan with 10 rows"):
        merge(folder, tmp_path / "m.parquet")
    assert not (tmp_path / "m.parquet").exists()
    folder.delete(out_name(1))
    finish(folder, plan, 1)
    assert merge(folder, tmp_path / "m.parquet").rows == 25
    assert [row[0] for row in read_table(tmp_path / "m.parquet")[1]] == [photo.name for photo in names(25)]
    with pytest.raises(UsageError, match=r"must end in .parquet or .csv"):
        merge(folder, tmp_path / "m.xlsx")
    with pytest.raises(UsageError, match="plan the batch with --detector"):
        merge(folder, tmp_path / "n.csv", rules=FieldRules(event_gap="1h"))
    with pytest.raises(UsageError, match="is there: give another"):
        merge(folder, tmp_path / "m.parquet")


def finish_all(folder: LocalFolder, plan: Plan) -> None:
    """Rows of every shard with all columns that a worker gives, at the speed of DuckDB."""
    types = column_types(plan.top_k) | MORE_COLUMNS
    values = {"path": "name", "size": "size", "etag": "etag", "attempts": "1", "error": "NULL"}
    for number, name in enumerate(types):
        values.setdefault(name, f"'fox {number}'" if types[name] == "VARCHAR" else "0.731224")
    columns = ", ".join(f'CAST({values[name]} AS {kind}) AS "{name}"' for name, kind in types.items())
    (folder.root / "out").mkdir()
    with connect() as database:
        for number in range(plan.shards):
            about = json.dumps({"plan": plan.id, "shard": number})
            database.execute(
                f"COPY (SELECT {columns} FROM read_parquet($1)) TO {quoted(folder.place(out_name(number)))} "
                f"(FORMAT parquet, KV_METADATA {{animals: {quoted(about)}}})",
                [str(folder.root / shard_name(number))],
            )


def measured(*words: object) -> tuple[dict[str, Any], float]:
    """What `animals batch` says as JSON, and the megabytes that its process held at most."""
    with start("batch", *words, "--json") as process:
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    print(words[0], used.ru_utime + used.ru_stime, "s of processor time,", used.ru_maxrss / 1024, "MB")
    return json.loads(said), used.ru_maxrss / 1024


@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.skipif(sys.platform == "win32", reason="os.wait4")
def test_ten_million_photos(folder: LocalFolder, tmp_path: Path) -> None:
    """Planned, looked at and merged within some hundred megabytes; the time is in docs/batch.md."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plan = made(folder, 10_000_000, 2000)
    assert plan.shards == 5000
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 300
    finish_all(folder, plan)
    status, megabytes = measured("status", folder.url)
    assert (status["rows"], status["finished"]) == (10_000_000, True)
    assert megabytes < 300
    for ending in ("parquet", "csv"):
        merged, megabytes = measured("merge", folder.url, "--output", tmp_path / f"m.{ending}")
        assert (merged["rows"], merged["errors"]) == (10_000_000, 0)
        assert megabytes < 900
    with (tmp_path / "m.csv").open("rb") as file:
        assert sum(1 for _ in file) == 10_000_001


def test_the_estimate_counts_blocks_for_tars() -> None:
    plan = replace(empty_plan(2000), photos=10_000_000, shards=5000, total_bytes=1_100_000_000_000)
    single, packed = Estimate.of(plan), Estimate.of(replace(plan, packed=True))
    assert (single.reads, packed.reads < 150_000) == (10_000_000, True)
    assert 35 < single.core_hours < 45


def test_photos_here_and_in_a_bucket_are_two_batches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "photos/a.png", 1)
    batch = str(tmp_path / "batch")
    assert main(["batch", "plan", str(tmp_path / "photos"), "gs://b/c", "--output", batch]) == 2
    assert "make two batches" in capsys.readouterr().err
    assert main(["batch", "plan", "ftp://b/c", "--output", batch]) == 2
    assert main(["batch", "run", batch]) == 2
    assert "no plan at" in capsys.readouterr().err
    assert main(["batch", "merge", batch, "--output", "a.csv"]) == 2
    assert "no plan at" in capsys.readouterr().err


def test_predict_says_what_reads_buckets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "gs://zoo/2026"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "animals batch plan gs://zoo/2026 --output DIR" in said

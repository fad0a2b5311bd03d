"""The rows of a batch are one table for those who read Parquet."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from tests.support.batches import plant_trouble
from tests.support.predicting import run
from tests.support.tiny_bundle import write_tiny_bundle

NUMBER = 40


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    model = write_tiny_bundle(folder / "tiny")
    trouble = plant_trouble(folder / "photos", NUMBER, broken=3, vanishing=0, fatal=False)
    words = ("plan", trouble.folder, "--output", folder / "batch", "--model", model, "--shard", 15, "--json")
    assert run("batch", *words).returncode == 0
    assert run("batch", "run", folder / "batch", "--workers", 1, "--engine", "onnxruntime").returncode == 0
    return folder / "batch/out"


@pytest.fixture(scope="module")
def counts(out: Path) -> Counter[str | None]:
    """How often each answer was given, by DuckDB."""
    found = duckdb.sql(f"SELECT answer, count(*) FROM '{out}/*.parquet' GROUP BY ALL").fetchall()
    assert sum(number for _, number in found) == NUMBER
    return Counter(dict(found))


def test_duckdb(counts: Counter[str | None]) -> None:
    assert counts[None] == 3


@pytest.mark.filterwarnings("ignore")
def test_ray_data(out: Path, counts: Counter[str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(num_cpus=1, include_dashboard=False, object_store_memory=80 * 1024 * 1024, log_to_driver=False)
    try:
        table = ray.data.read_parquet(str(out))
        rows = table.take_all()
        assert Counter(row["answer"] for row in rows) == counts
        assert {"path", "size", "etag", "attempts", "error"} <= set(table.schema().names)
    finally:
        ray.shutdown()


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
def test_spark(out: Path, counts: Counter[str | None]) -> None:
    pyspark = pytest.importorskip("pyspark.sql", reason="pyspark is not installed: pip install pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java: apt-get install default-jre-headless")
    session = pyspark.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        table = session.read.parquet(str(out))
        assert table.count() == NUMBER
        assert Counter(row["answer"] for row in table.collect()) == counts
    finally:
        session.stop()

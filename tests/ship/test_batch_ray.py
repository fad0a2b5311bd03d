"""Batches on a real Ray cluster of two nodes on this machine, which die."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from animal_classification.cli.main import main
from tests.support.batches import Trouble, plant_trouble, start_batch, table
from tests.support.tiny_bundle import write_tiny_bundle

ray = pytest.importorskip("ray")

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray leaves files and processes to its end
ENGINE = ("--engine", "onnxruntime")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A head that takes no work, as on KubeRay, and two nodes of one CPU, whose decoder has a fault."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("PYTHONPATH", Trouble(tmp_path).environment(tmp_path / "plugins")["PYTHONPATH"])
    small = {"object_store_memory": 80 * 1024 * 1024}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    made.small = small
    made.two = [made.add_node(num_cpus=1, **small) for _ in range(2)]
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny")


def wait_for_shards(out: Path, count: int, deadline: float = 120) -> None:
    end = time.monotonic() + deadline
    while (len(list(out.glob("*.parquet"))) if out.is_dir() else 0) < count:
        assert time.monotonic() < end, "no more shards are done"
        time.sleep(0.02)


def chaos(cluster: Any, model: Path, tmp_path: Path, number: int, *, shard: int, deaths: int) -> None:
    trouble = plant_trouble(tmp_path / "photos", number, broken=number // 50, vanishing=number // 200, fatal=deaths > 1)
    batch = tmp_path / "batch"
    words = ("plan", trouble.folder, "--output", batch, "--model", model, "--shard", shard, "--json")
    assert main(["batch", *map(str, words)]) == 0
    trouble.vanish()
    process = start_batch(
        *("run", batch, "--runner", "ray", "--address", cluster.address, "--heartbeat", 1, *ENGINE, "--json"),
    )
    shards = -(-number // shard)
    for death in range(1, deaths + 1):
        wait_for_shards(batch / "out", shards * death // (deaths + 2))
        cluster.remove_node(cluster.two.pop(0), allow_graceful=False)
        cluster.two.append(cluster.add_node(num_cpus=1, **cluster.small))
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err.decode()
    assert json.loads(out)["errors"] == []
    assert main(["batch", "merge", str(batch), "--output", str(tmp_path / "m.csv"), "--json"]) == 0
    found = table(tmp_path / "m.csv")
    assert sorted(found) == trouble.names
    for name in trouble.vanishing:
        assert found.pop(name)[-1] == "it is not there any more"
    if trouble.fatal:
        assert found.pop(trouble.fatal)[-1] == "ended the process"
        (trouble.folder / trouble.fatal).unlink()
    assert main(["predict", str(trouble.folder), "--model", str(model), "-o", str(tmp_path / "p.csv"), "-q"]) == 0
    assert found == table(tmp_path / "p.csv")


def test_a_node_dies(cluster: Any, model: Path, tmp_path: Path) -> None:
    chaos(cluster, model, tmp_path, 600, shard=20, deaths=1)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_nodes_die_again_and_again_and_a_file_ends_processes(cluster: Any, model: Path, tmp_path: Path) -> None:
    chaos(cluster, model, tmp_path, 2000, shard=50, deaths=3)

"""Batches in Google's and Amazon's storage, both emulated, behind a network that answers with 429 and 5xx."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from animal_classification.cli.main import main
from animal_classification.scale.storage import BucketFolder, open_bucket, open_folder
from tests.support.batches import Kills, Trouble, every_seconds, plant_trouble, start_batch, table
from tests.support.faulty_proxy import FaultyProxy
from tests.support.tiny_bundle import write_tiny_bundle

# gcsfs hands aiohttp some megabytes at once, and leaves its session to the end of the process.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed"),
]
ENGINE = ("--engine", "onnxruntime")


@dataclass
class Cloud:
    """An emulated store, and the environment of processes that use it."""

    url: str
    proxy: FaultyProxy
    environment: dict[str, str]

    def upload(self, folder: Path) -> str:
        """Copy a folder of photos there; returns its address."""
        place = open_folder(f"{self.url}/photos")
        files = [path for path in folder.rglob("*") if path.is_file()]
        with self._without_faults(), ThreadPoolExecutor(8) as pool:
            for _ in pool.map(lambda path: place.put(path.relative_to(folder).as_posix(), path.read_bytes()), files):
                pass
        return place.url

    def delete(self, names: list[str]) -> None:
        place = open_folder(f"{self.url}/photos")
        with self._without_faults():
            for name in names:
                place.delete(name)

    @contextmanager
    def _without_faults(self) -> Iterator[None]:
        share, self.proxy.share = self.proxy.share, 0.0
        yield
        self.proxy.share = share


@pytest.fixture(params=["gs", "s3"])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    store = google() if request.param == "gs" else amazon()
    port = next(store)
    with FaultyProxy(port, share=0.03, google=request.param == "gs") as proxy:
        environment = (
            {"STORAGE_EMULATOR_HOST": proxy.url, "NO_GCE_CHECK": "true"}
            if request.param == "gs"
            else {
                "AWS_ENDPOINT_URL": proxy.url,
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",  # pragma: allowlist secret
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_MAX_ATTEMPTS": "1",
            }
        )
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield Cloud(f"{request.param}://animals/{tmp_path.name}", proxy, environment)
        open_bucket(f"{request.param}://animals")[0].clear_instance_cache()
    next(store, None)


def google() -> Iterator[int]:
    server = pytest.importorskip("gcp_storage_emulator.server")
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    emulator = server.create_server("127.0.0.1", 0, in_memory=True, default_bucket="animals")
    emulator.start()
    emulator._api._httpd.handle_error = lambda *_: None
    yield emulator._api._httpd.server_address[1]
    emulator.stop()


def amazon() -> Iterator[int]:
    moto = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    import http.client

    connection = http.client.HTTPConnection(host, port)
    connection.request("PUT", "/animals")
    connection.getresponse().read()
    connection.close()
    yield port
    server.stop()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny")


def said(*words: object, capsys: pytest.CaptureFixture[str]) -> Any:
    assert main([str(word) for word in words]) == 0
    return json.loads(capsys.readouterr().out)


def check(cloud: Cloud, batch: str, trouble: Trouble, model: Path, tmp_path: Path) -> None:
    """Every photo has one row, and what is there has the row that ``animals predict`` gives it on a disk."""
    assert main(["batch", "merge", batch, "--output", str(tmp_path / "m.csv"), "--json"]) == 0
    found = table(tmp_path / "m.csv")
    assert sorted(found) == trouble.names
    assert {found.pop(name)[-1] for name in trouble.vanishing} <= {"it is not there any more"}
    if trouble.fatal:
        assert found.pop(trouble.fatal)[-1] == "ended the process"
        (trouble.folder / trouble.fatal).unlink()
    trouble.vanish()
    assert main(["predict", str(trouble.folder), "--model", str(model), "-o", str(tmp_path / "p.csv"), "-q"]) == 0
    assert found == table(tmp_path / "p.csv")


def chaos(
    cloud: Cloud, model: Path, tmp_path: Path, number: int, shard: int, *, seconds: float = 0, pack: bool = False
) -> None:
    broken, vanishing = number // 50, number // 200 + 1
    trouble = plant_trouble(tmp_path / "photos", number, broken=broken, vanishing=vanishing, fatal=seconds > 0)
    photos, batch = cloud.upload(trouble.folder), f"{cloud.url}/batch"
    words = ("plan", photos, "--output", batch, "--model", model, "--shard", shard, "--json")
    planned = start_batch(*words, *(["--pack"] if pack else []))
    with planned:
        _, err = planned.communicate(timeout=1000)
    assert planned.returncode == 0, err.decode()
    cloud.delete(trouble.vanishing)
    if pack:
        trouble.vanishing.clear()
    environment = {**os.environ, **trouble.environment(tmp_path / "plugins")}
    process = start_batch("run", batch, "--workers", 2, "--heartbeat", 4, *ENGINE, "--json", env=environment)
    folder = open_folder(batch)
    assert isinstance(folder, BucketFolder)
    due = every_seconds(seconds, lambda: len(list(folder.names("out")))) if seconds else after_rows(folder, 1)
    with process, Kills(process, due) as kills:
        out, err = process.communicate(timeout=2000)
    assert process.returncode == 0, err.decode()
    assert json.loads(out)["deaths"] >= kills.count >= 1
    assert sum(cloud.proxy.faults.values()) > number // 20
    check(cloud, batch, trouble, model, tmp_path)


def after_rows(folder: BucketFolder, every: int) -> Any:
    seen = 0

    def due() -> bool:
        nonlocal seen
        found = len(list(folder.names("out")))
        if found < seen + every:
            return False
        seen = found
        return True

    return due


def test_workers_are_killed_while_the_store_fails(cloud: Cloud, model: Path, tmp_path: Path) -> None:
    chaos(cloud, model, tmp_path, 60, 5)


@pytest.mark.nightly
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("pack", [False, True])
def test_two_thousand_photos(cloud: Cloud, model: Path, tmp_path: Path, pack: bool) -> None:
    chaos(cloud, model, tmp_path, 2000, 50, seconds=2.0, pack=pack)


def test_only_one_of_many_puts_a_file(cloud: Cloud) -> None:
    cloud.proxy.share = 0.0
    folder = open_folder(f"{cloud.url}/race")
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: folder.put_new("a", str(number).encode()), range(8)))
    assert won.count(True) == 1
    assert folder.read("a") == str(won.index(True)).encode()
    assert folder.exists("a")
    assert list(folder.names("")) == ["a"]
    folder.delete("a")
    folder.delete("a")
    assert not folder.exists("a")
    with pytest.raises(FileNotFoundError):
        folder.read("a")


def test_a_photo_that_changed_after_the_plan(
    cloud: Cloud, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.proxy.share = 0.0
    trouble = plant_trouble(tmp_path / "photos", 8, broken=0, vanishing=0, fatal=False)
    photos, batch = cloud.upload(trouble.folder), f"{cloud.url}/batch"
    planned = said("batch", "plan", photos, "-o", batch, "--model", model, "--json", capsys=capsys)
    assert planned["photos"] == 8
    changed = trouble.names[3]
    data = bytearray((trouble.folder / changed).read_bytes())
    data[-1] ^= 1  # as long as before
    filesystem, root = open_bucket(cloud.url)
    filesystem.pipe_file(f"{root}/photos/{changed}", bytes(data))
    assert main(["batch", "run", batch, "--workers", "1", *ENGINE]) == 0
    assert main(["batch", "merge", batch, "--output", str(tmp_path / "m.csv")]) == 0
    errors = {name: row[-1] for name, row in table(tmp_path / "m.csv").items() if row[-1]}
    assert errors == {changed: "changed since the plan"}

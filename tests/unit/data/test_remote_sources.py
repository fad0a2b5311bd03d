"""Archives, stores and packages: what comes from elsewhere is fetched once, and may not harm."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from animal_classification.data.sources import SourceOptions, animal_mnist, read_source
from animal_classification.data.sources.animal_mnist import PinnedWheel, read_pickled_array
from animal_classification.data.sources.archives import ArchiveLimits, unpack
from animal_classification.errors import AnimalsError, MissingExtraError, UsageError
from tests.unit.data.drawing import draw_classes


@pytest.fixture
def options(tmp_path: Path) -> SourceOptions:
    return SourceOptions(cache=tmp_path / "cache")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return draw_classes(tmp_path / "photos", {"cat": 2, "dog": 1})


def zipped(file: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tgz", "tar.xz"])
def test_archives(tmp_path: Path, photos: Path, options: SourceOptions, suffix: str) -> None:
    file = tmp_path / f"set.{suffix}"
    if suffix == "zip":
        zipped(file, {f"set/{p.parent.name}/{p.name}": p.read_bytes() for p in photos.glob("*/*")})
    else:
        mode: Any = "w:" + {"tgz": "gz", "tar": ""}.get(suffix, suffix[4:])
        with tarfile.open(file, mode) as archive:
            archive.add(photos, "set")
    manifest = read_source(file, options)
    assert [row.path for row in manifest] == ["cat/0.png", "cat/1.png", "dog/0.png"]
    assert manifest.rows[0].sha256 == read_source(photos, options).rows[0].sha256
    assert manifest.root == read_source(file, options).root


@pytest.mark.parametrize("name", ["../evil.png", "/tmp/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png"])
def test_names_that_lead_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(AnimalsError, match="leads out of its folder"):
        unpack(zipped(tmp_path / "a.zip", {"cat/ok.png": b"x", name: b"x"}), tmp_path / "cache")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(AnimalsError, match="leads out of its folder"):
        unpack(tmp_path / "a.tar", tmp_path / "cache")
    assert not list(tmp_path.rglob("evil*"))
    assert not list((tmp_path / "cache" / "archives").iterdir())


def test_links_and_devices_are_never_made(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in {
            "link.png": tarfile.SYMTYPE,
            "hard.png": tarfile.LNKTYPE,
            "pipe.png": tarfile.FIFOTYPE,
        }.items():
            member = tarfile.TarInfo(f"cat/{name}")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    folder = unpack(tmp_path / "a.tar", tmp_path / "cache")
    assert not [path for path in folder.rglob("*") if not path.is_dir()]


def test_bombs(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.zip", {"cat/a.png": b"\0" * 3_000_000})
    with pytest.raises(AnimalsError, match="unpacks to more than"):
        unpack(bomb, tmp_path / "cache", limits=ArchiveLimits(slack=1000))
    many = zipped(tmp_path / "many.zip", {f"cat/{i}.png": b"" for i in range(5)})
    with pytest.raises(AnimalsError, match="more than 4 files"):
        unpack(many, tmp_path / "cache", limits=ArchiveLimits(max_files=4))
    assert not list((tmp_path / "cache" / "archives").iterdir())


@pytest.mark.parametrize("name", ["broken.zip", "broken.tar.gz"])
def test_damaged_archives(tmp_path: Path, photos: Path, options: SourceOptions, name: str) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        archive.add(photos, "set")
    (tmp_path / name).write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    with pytest.raises(AnimalsError, match="it is damaged, or no archive"):
        read_source(tmp_path / name, options)


def test_a_table_in_an_archive_cannot_name_files_outside(tmp_path: Path, options: SourceOptions) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    table = f"path,label\n{os.path.relpath(tmp_path / 'secret.png', tmp_path / 'cache' / 'archives' / 'x')},cat\n"
    with pytest.raises(AnimalsError, match=r"which is outside of it|none of its 1 paths"):
        read_source(zipped(tmp_path / "a.zip", {"labels.csv": table.encode()}), options)


@pytest.fixture
def store() -> Iterator[Any]:
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.rm("/", recursive=True)


def test_folders_in_a_store(photos: Path, options: SourceOptions, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(f"{photos}/", "/bucket/set", recursive=True)
    first = read_source("memory://bucket/set", options)
    assert [row.path for row in first] == ["cat/0.png", "cat/1.png", "dog/0.png"]
    fetched: list[str] = []
    get_file = type(store).get_file

    def noting(self: Any, path: str, *rest: Any, **more: Any) -> None:
        fetched.append(path)
        get_file(self, path, *rest, **more)

    monkeypatch.setattr(type(store), "get_file", noting)
    assert read_source("memory://bucket/set", options).root == first.root
    assert not fetched
    store.pipe("/bucket/set/dog/1.png", (photos / "cat" / "0.png").read_bytes())
    assert len(read_source("memory://bucket/set", options)) == 4
    assert fetched == ["/bucket/set/dog/1.png"]


def test_archives_in_a_store(tmp_path: Path, photos: Path, options: SourceOptions, store: Any) -> None:
    file = zipped(tmp_path / "a.zip", {f"{p.parent.name}/{p.name}": p.read_bytes() for p in photos.glob("*/*")})
    store.put(str(file), "/bucket/a.zip")
    assert len(read_source("memory://bucket/a.zip", options)) == 3


def test_nothing_in_a_store(options: SourceOptions, store: Any) -> None:
    with pytest.raises(UsageError, match="there are no photos"):
        read_source("memory://nowhere", options)
    with pytest.raises(UsageError, match="there is nothing there"):
        read_source("memory://nowhere/a.zip", options)
    with pytest.raises(UsageError, match="would do"):
        read_source("zoo://bucket/x", options)


def test_a_store_that_cannot_be_reached(options: SourceOptions, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise TimeoutError("no answer")

    monkeypatch.setattr(type(store), "find", refuse)
    with pytest.raises(AnimalsError, match=r"cannot be reached \(TimeoutError: no answer\)") as refusal:
        read_source("memory://bucket", options)
    assert refusal.value.exit_code == 1


@pytest.mark.skipif(find_spec("gcsfs") is not None, reason="gcsfs is installed")
def test_a_store_without_its_package(options: SourceOptions) -> None:
    with pytest.raises(MissingExtraError, match=r'needs an extra: pip install ".*\[gcs\]"'):
        read_source("gs://bucket/set", options)


class Attack:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch /tmp/animals-attacked",)


@pytest.mark.parametrize(
    "thing", [Attack(), np.array([Attack()], dtype=object), {"a": 1}, [1, 2], np.array(["text"]), np.array([None])]
)
def test_pickles_of_anything_else_are_refused(tmp_path: Path, thing: object) -> None:
    file = tmp_path / "x.gz"
    file.write_bytes(gzip.compress(pickle.dumps(thing)))
    with pytest.raises(AnimalsError, match="is not a pickled array of numbers"):
        read_pickled_array(file)
    assert not Path("/tmp/animals-attacked").exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"junk", gzip.compress(b"junk"), gzip.compress(pickle.dumps(np.zeros(9)))[:-20]],
    ids=["empty", "junk", "packed junk", "cut short"],  # packed bytes hold the time
)
def test_damaged_pickles(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.gz").write_bytes(data)
    with pytest.raises(AnimalsError, match="was not read"):
        read_pickled_array(tmp_path / "x.gz")


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_pickled_arrays(tmp_path: Path, protocol: int) -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    (tmp_path / "x.gz").write_bytes(gzip.compress(pickle.dumps(array, protocol)))
    np.testing.assert_array_equal(read_pickled_array(tmp_path / "x.gz"), array)


class Package:
    """What ``importlib.metadata`` says of an installed package."""

    def __init__(self, folder: Path) -> None:
        self.files = [file.relative_to(folder) for file in folder.rglob("*.gz")]
        self._folder = folder

    def locate_file(self, file: Path) -> Path:
        return self._folder / file


def test_animal_mnist(tmp_path: Path, options: SourceOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    labels = np.arange(20) % 10
    for name, array in {"animal_data_version_3.gz": images, "animal_label_version_3.gz": labels}.items():
        (tmp_path / "package").mkdir(exist_ok=True)
        (tmp_path / "package" / name).write_bytes(gzip.compress(pickle.dumps(array, 4)))
    monkeypatch.setattr(animal_mnist, "distribution", lambda _: Package(tmp_path / "package"))
    manifest = read_source("animal-mnist", options)
    assert len(manifest) == 20
    assert manifest.classes == animal_mnist.CLASSES
    assert read_source("animal_mnist", options).version == manifest.version


def test_animal_mnist_cannot_be_had(options: SourceOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = PinnedWheel("animal-mnist-that-nobody-has", "1", "0" * 64)
    monkeypatch.setattr(animal_mnist, "PACKAGE", pinned.name)
    monkeypatch.setattr(animal_mnist, "PINNED", pinned)
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    with pytest.raises(AnimalsError, match="pip install --no-deps"):
        animal_mnist.list_animal_mnist(tmp_path)
    assert not list(tmp_path.glob("**/fetched-*"))

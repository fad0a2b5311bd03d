"""Bundles behind fsspec: uploaded last thing last, fetched once, checked always."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from animal_classification.bundle import BundleInfo, load, write
from animal_classification.common.hashes import hash_file
from animal_classification.errors import (
    BundleError,
    BundleInvalidError,
    BundleNotFoundError,
    MissingExtraError,
    OutputError,
    UsageError,
)
from tests.support.tiny_bundle import write_tiny_bundle

URL = "memory://bucket/zoo"


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def remote(tiny: Path, memory: Any) -> str:
    """The tiny bundle as an object store holds it."""
    for path in tiny.iterdir():
        memory.pipe_file(f"/bucket/zoo/{path.name}", path.read_bytes())
    return URL


@pytest.fixture
def fetched(memory: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were downloaded."""
    names: list[str] = []
    real: Callable[..., None] = memory.get_file

    def get_file(source: str, target: str, **options: Any) -> None:
        names.append(source.rsplit("/", 1)[-1])
        real(source, target, **options)

    monkeypatch.setattr(memory, "get_file", get_file)
    return names


def test_load_fetches_each_file_once(remote: str, tiny: Path, tmp_path: Path, fetched: list[str]) -> None:
    cache_dir = tmp_path / "cache"
    bundle = load(remote, cache_dir=cache_dir)
    assert sorted(fetched) == ["README.md", "model.onnx", "reference.npz"]
    assert bundle.info == load(tiny).info
    assert bundle.sha256 == load(tiny).sha256
    assert bundle.path.is_relative_to(cache_dir)
    fetched.clear()
    assert load(remote, cache_dir=cache_dir) == bundle
    assert fetched == []
    assert list(cache_dir.rglob("*.tmp")) == []


def test_versions_share_the_files_that_are_the_same(
    remote: str, tiny: Path, tmp_path: Path, memory: Any, fetched: list[str]
) -> None:
    load(remote, cache_dir=tmp_path / "cache")
    fetched.clear()
    second = write_tiny_bundle(tmp_path / "second", names=("hen", "cow", "pig"), version="2")
    for path in second.iterdir():
        memory.pipe_file(f"/bucket/second/{path.name}", path.read_bytes())
    assert load("memory://bucket/second", cache_dir=tmp_path / "cache").info.version == "2"
    assert fetched == []  # other names, the same graph


@pytest.mark.parametrize("harm", ["damage", "delete"])
@pytest.mark.parametrize("linked", [True, False])
def test_a_damaged_cache_heals(
    remote: str, tmp_path: Path, fetched: list[str], monkeypatch: pytest.MonkeyPatch, harm: str, *, linked: bool
) -> None:
    if not linked:
        monkeypatch.setattr(os, "link", _refuse)
    bundle = load(remote, cache_dir=tmp_path / "cache")
    fetched.clear()
    if harm == "damage":
        bundle.model_path.write_bytes(b"damaged")
    else:
        bundle.model_path.unlink()
    assert load(remote, cache_dir=tmp_path / "cache") == bundle
    assert hash_file(bundle.model_path) == bundle.info.files["model.onnx"]
    # Only where the blob was damaged too, being the same file, must it be fetched again.
    assert fetched == (["model.onnx"] if linked and harm == "damage" else [])


def _refuse(source: Path, target: Path) -> None:
    raise OSError("no hard links here")


def test_a_damaged_upload_is_refused_and_leaves_nothing(remote: str, tmp_path: Path, memory: Any) -> None:
    memory.pipe_file("/bucket/zoo/model.onnx", b"half")
    with pytest.raises(BundleInvalidError, match=r"memory://bucket/zoo/model.onnx: its sha256 is"):
        load(remote, cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache" / "bundles").exists()
    assert list((tmp_path / "cache").rglob("*.tmp")) == []


def test_a_listed_file_that_is_missing(remote: str, tmp_path: Path, memory: Any) -> None:
    memory.rm_file("/bucket/zoo/README.md")
    with pytest.raises(BundleInvalidError, match=r"zoo/README.md: bundle.json lists it and it is not there"):
        load(remote, cache_dir=tmp_path / "cache")


def test_names_that_lead_out_are_refused_before_fetching(
    remote: str, tmp_path: Path, memory: Any, fetched: list[str]
) -> None:
    data = memory.cat_file("/bucket/zoo/bundle.json").replace(b'"README.md"', b'"../../x"')
    memory.pipe_file("/bucket/zoo/bundle.json", data)
    with pytest.raises(BundleInvalidError, match=r"memory://bucket/zoo/bundle.json: files.*'../../x' is refused"):
        load(remote, cache_dir=tmp_path / "cache")
    assert fetched == []


def test_nothing_there(memory: Any, tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match=r"memory://bucket/gone: there is no bundle.json there"):
        load("memory://bucket/gone", cache_dir=tmp_path)


@pytest.mark.parametrize("verb", ["cat_file", "get_file"])
def test_offline(remote: str, tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to host\nand a long story")

    monkeypatch.setattr(memory, verb, offline)
    expected = (
        r"cannot be reached \(ConnectionError: no route to host\); check the address, the network and your sign-in"
    )
    with pytest.raises(BundleNotFoundError, match=expected) as caught:
        load(remote, cache_dir=tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written(remote: str, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    with pytest.raises(BundleError, match="the model cache cannot be used"):
        load(remote, cache_dir=tmp_path / "cache")


def test_the_default_cache_follows_the_system(remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert load(remote).path.is_relative_to(tmp_path / "xdg" / "animals")


@pytest.mark.parametrize(("url", "extra"), [("gs://bucket/zoo", "gcs"), ("s3://bucket/zoo", "s3")])
def test_a_backend_that_is_not_installed(url: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec.core

    def missing(url: str) -> None:
        raise ImportError("Please install gcsfs")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtraError, match=rf'needs an extra: pip install ".*\[{extra}\]"'):
        load(url)


def test_a_backend_that_no_extra_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec.core

    def missing(url: str) -> None:
        raise ImportError("Install adlfs to access Azure")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UsageError, match="abfs://a/b: Install adlfs to access Azure"):
        load("abfs://a/b")


def test_a_kind_of_address_that_nobody_knows() -> None:
    with pytest.raises(UsageError, match=r"nonsense://x: Protocol not known: nonsense; a folder, gs://"):
        load("nonsense://x")


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match="cannot be reached"):
        load(f"zip://zoo::file://{tmp_path}/gone.zip")


def test_write_and_load_again(info: BundleInfo, files: dict[str, bytes | Path], memory: Any, tmp_path: Path) -> None:
    written = write(URL, info, files, cache_dir=tmp_path / "a")
    assert written.path.is_relative_to(tmp_path / "a")
    assert load(URL, cache_dir=tmp_path / "b").sha256 == written.sha256
    assert sorted(memory.ls("/bucket/zoo", detail=False)) == [
        f"/bucket/zoo/{name}" for name in sorted(["bundle.json", *files])
    ]


def test_bundle_json_is_uploaded_last_and_only_after_reading_back(
    info: BundleInfo, files: dict[str, bytes | Path], memory: Any, tmp_path: Path, fetched: list[str]
) -> None:
    seen: list[tuple[list[str], bool]] = []
    real: Callable[..., None] = memory.pipe_file

    def pipe_file(path: str, value: bytes, **options: Any) -> None:
        seen.append((sorted(fetched), memory.exists(path)))
        real(path, value, **options)

    memory.pipe_file = pipe_file
    try:
        write(URL, info, files, cache_dir=tmp_path)
    finally:
        del memory.pipe_file
    assert seen == [(sorted(files), False)]


def test_an_upload_that_breaks_leaves_no_bundle(
    info: BundleInfo, files: dict[str, bytes | Path], memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., None] = memory.put_file

    def put_file(source: str, target: str, **options: Any) -> None:
        if target.endswith("model.onnx"):
            raise TimeoutError("the line was cut")
        real(source, target, **options)

    with monkeypatch.context() as patch:
        patch.setattr(memory, "put_file", put_file)
        with pytest.raises(
            OutputError, match=r"memory://bucket/zoo: cannot be written \(TimeoutError: the line was cut\)"
        ):
            write(URL, info, files, cache_dir=tmp_path)
    with pytest.raises(BundleNotFoundError):
        load(URL, cache_dir=tmp_path)
    with pytest.raises(UsageError, match=r"already holds README.md; choose another name, or allow"):
        write(URL, info, files, cache_dir=tmp_path)
    assert write(URL, info, files, cache_dir=tmp_path, overwrite=True).info.name == info.name


def test_what_the_store_changed_is_noticed(
    info: BundleInfo, files: dict[str, bytes | Path], memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_file(source: str, target: str, **_: Any) -> None:
        memory.pipe_file(target, Path(source).read_bytes()[:-1])

    monkeypatch.setattr(memory, "put_file", put_file)
    with pytest.raises(BundleInvalidError, match="its sha256 is"):
        write(URL, info, files, cache_dir=tmp_path)
    assert not memory.exists("/bucket/zoo/bundle.json")


def test_a_remote_bundle_is_replaced_only_when_allowed(
    remote: str, info: BundleInfo, files: dict[str, bytes | Path], tmp_path: Path
) -> None:
    second = info.model_copy(update={"version": "2"})
    with pytest.raises(UsageError, match=r"already holds bundle.json"):
        write(remote, second, files, cache_dir=tmp_path / "cache")
    write(remote, second, files, cache_dir=tmp_path / "cache", overwrite=True)
    assert load(remote, cache_dir=tmp_path / "cache").info.version == "2"


FETCH = """
import sys
from pathlib import Path
import fsspec
from animal_classification.bundle import load

memory = fsspec.filesystem("memory")
for path in Path(sys.argv[1]).iterdir():
    memory.pipe_file(f"/bucket/zoo/{path.name}", path.read_bytes())
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    print(load("memory://bucket/zoo", cache_dir=Path(sys.argv[2])).sha256)
"""


def test_two_processes_fill_one_cache(tiny: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FETCH, str(tiny), str(tmp_path / "cache")]
    sha256 = load(tiny).sha256
    with ExitStack() as stack:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes = [stack.enter_context(subprocess.Popen(command, text=True, **pipes)) for _ in range(2)]
        ready = [process.stdout.readline() for process in processes if process.stdout]
        for process in processes:  # both have imported everything: now they start together
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        results = [process.communicate(timeout=60) for process in processes]
    assert ready == ["ready\n"] * 2, results
    for out, error in results:
        assert set(out.split()) == {sha256}, error
    assert list((tmp_path / "cache").rglob("*.tmp")) == []
    assert len(_names(tmp_path / "cache" / "bundles")) == 1

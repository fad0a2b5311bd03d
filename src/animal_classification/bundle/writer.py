"""Writes a bundle atomically: readers see all of it or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from animal_classification.bundle.cache import Cache, default_directory
from animal_classification.bundle.document import to_bytes, validated
from animal_classification.bundle.location import Remote, locate
from animal_classification.bundle.model import Bundle, verified
from animal_classification.bundle.schema import INFO_FILE, MODEL_FILE, BundleInfo
from animal_classification.common import atomic
from animal_classification.common.hashes import hash_file
from animal_classification.common.urls import in_a_line
from animal_classification.errors import AnimalsError, OutputError, UsageError

Files = Mapping[str, bytes | Path]
Check = Callable[[Bundle], None]
Stage = Callable[..., Bundle]


def write(
    target: str | os.PathLike[str],
    info: BundleInfo,
    files: Files,
    *,
    overwrite: bool = False,
    cache_dir: Path | None = None,
    check: Check | None = None,
) -> Bundle:
    """Writes a bundle and verifies what it wrote.

    A local bundle is made beside ``target`` and renamed; a remote one gets its files first, which are read back, and
    ``bundle.json`` last. A crash at any moment leaves no half-written bundle that loads.

    Args:
        target: A directory or an fsspec URL.
        info: What ``bundle.json`` shall say; ``files`` is filled in here.
        files: Each file's name in the bundle, and its content or where to copy it from. ``model.onnx`` is needed.
        overwrite: Replace a bundle that is there. A directory that is not a bundle is never replaced.
        cache_dir: As for :func:`load`, when ``target`` is remote.
        check: Called with what was made before it gets its name; what it raises comes out of here, and nothing is
            written.

    Returns:
        The bundle as :func:`load` gives it.

    Raises:
        UsageError: ``target`` is taken.
        BundleInvalidError: What was given makes no valid bundle; nothing was written.
        OutputError: The system refused.
    """
    place = locate(target)
    stage = partial(_stage, info=info, files=files, check=check)
    try:
        if isinstance(place, Remote):
            return _write_remote(place, stage, overwrite=overwrite, cache_dir=cache_dir)
        return _write_local(place, stage, overwrite=overwrite)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error}); check the free space and the permissions") from error


def _write_local(target: Path, stage: Stage, *, overwrite: bool) -> Bundle:
    target = target.absolute()  # "." has no siblings
    _check_free(target, overwrite=overwrite)
    with atomic.new_folder(target, existing="replace" if overwrite else "refuse") as temporary:
        bundle = stage(temporary, where=str(target))
        _check_free(target, overwrite=overwrite)  # staging took a while
    return Bundle(info=bundle.info, path=target, sha256=bundle.sha256)


def _check_free(target: Path, *, overwrite: bool) -> None:
    if target.is_symlink():
        raise UsageError(f"{target}: is a link; name the directory itself")
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target}: is a file; choose another name")
    if (target / INFO_FILE).is_file():
        if not overwrite:
            raise UsageError(f"{target}: already holds a bundle; choose another name, or allow it to be overwritten")
    elif any(target.iterdir()):
        raise UsageError(f"{target}: holds files and no {INFO_FILE}, so it is not a bundle; choose another name")


def _stage(directory: Path, *, info: BundleInfo, files: Files, where: str, check: Check | None) -> Bundle:
    """Puts all files into an empty directory, ``bundle.json`` last, and verifies it."""
    _validate(info, dict.fromkeys(files, "0" * 64), where)  # names are checked before they are used
    hashes = {name: _put(directory / name, content) for name, content in sorted(files.items())}
    info = _validate(info, hashes, where)
    _put(directory / INFO_FILE, to_bytes(info, where))
    for folder in (directory, *(path for path in directory.rglob("*") if path.is_dir())):
        atomic.sync(folder)
    bundle = verified(directory, where)
    if check is not None:
        check(bundle)
    return bundle


def _validate(info: BundleInfo, hashes: Mapping[str, str], where: str) -> BundleInfo:
    if MODEL_FILE not in hashes:
        raise UsageError(f"{where}: files must have {MODEL_FILE} (got {', '.join(hashes) or 'none'})")
    return validated({**info.model_dump(), "files": dict(hashes)}, f"{where}/{INFO_FILE}")


def _put(path: Path, content: bytes | Path) -> str:
    """Writes one file through to the disk; the result is the hash of what was to be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copyfile(content, path)
        sha256 = hash_file(content)
    else:
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
    atomic.sync(path)
    return sha256


def _write_remote(remote: Remote, stage: Stage, *, overwrite: bool, cache_dir: Path | None) -> Bundle:
    cache = Cache(cache_dir or default_directory())
    with tempfile.TemporaryDirectory(prefix="animals-bundle-") as temporary:
        staged = stage(Path(temporary), where=remote.url)
        _upload(remote, staged, cache, overwrite=overwrite)
    return cache.load(remote)


def _upload(remote: Remote, staged: Bundle, cache: Cache, *, overwrite: bool) -> None:
    try:
        for name in () if overwrite else (INFO_FILE, *staged.info.files):
            if remote.filesystem.exists(remote.path(name)):
                raise UsageError(
                    f"{remote.url}: already holds {name}; choose another name, or allow it to be overwritten"
                )
        for name in staged.info.files:
            remote.filesystem.put_file(str(staged.path / name), remote.path(name))
        for name, sha256 in staged.info.files.items():
            cache.fetch(remote, name, sha256)
        # Readers look for this name first: until it is there, there is no bundle.
        remote.filesystem.pipe_file(remote.path(INFO_FILE), (staged.path / INFO_FILE).read_bytes())
    except AnimalsError:
        raise
    except Exception as error:  # each backend has exceptions of its own
        raise OutputError(
            f"{remote.url}: cannot be written ({in_a_line(error)}); check the address, the network and your sign-in"
        ) from error

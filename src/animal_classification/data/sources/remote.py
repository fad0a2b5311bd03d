"""Photos behind a URL: whatever fsspec reaches. What is fetched is kept under what the store says of its content."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animal_classification.common.atomic import link_or_copy, new_file
from animal_classification.common.urls import in_a_line, open_url
from animal_classification.data.cache_folder import cache_error, new_folder
from animal_classification.data.sources.archives import is_archive_name, safe_parts
from animal_classification.data.sources.listing import is_hidden
from animal_classification.data.tabular import TABLE_SUFFIXES
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.imaging import is_photo_name

# Stores name the state of an object differently; without any of these its size has to do.
_STATE = ("etag", "ETag", "md5Hash", "crc32c", "generation", "mtime", "LastModified", "last_modified", "created")
_CONNECTIONS = 8


@dataclass(frozen=True)
class _RemoteStore:
    url: str
    filesystem: Any
    root: str


@dataclass(frozen=True)
class _Object:
    """One remote file: its path below the root, its path in the store, and a name for its present content."""

    parts: tuple[str, ...]
    path: str
    token: str


def is_url(reference: str) -> bool:
    """Whether fsspec has to be asked."""
    return "://" in reference


def fetch(url: str, cache: Path) -> Path:
    """Bring an archive, a table or a folder here; what is here already is not fetched again.

    Returns:
        A local file or folder.

    Raises:
        UsageError: There is no such kind of address, or nothing is there.
        MissingExtraError: A package for this kind of address is not installed.
        AnimalsError: It cannot be reached, or the cache cannot be written.
    """
    store = _open(url)
    if isinstance(store, Path):
        return store
    try:
        if is_archive_name(store.root) or store.root.lower().endswith(TABLE_SUFFIXES):
            info = store.filesystem.info(store.root)
            return _keep(store, _Object((), store.root, _token(store, info)), cache)
        found = store.filesystem.find(store.root, detail=True)
    except FileNotFoundError as error:
        raise UsageError(f"{url}: there is nothing there; check the address") from error
    except AnimalsError:
        raise
    except Exception as error:
        raise _unreachable(url, error) from error
    return _mirror(store, _objects(store, found), cache)


def _objects(store: _RemoteStore, found: dict[str, Any]) -> list[_Object]:
    objects = []
    for path, info in sorted(found.items()):
        parts = safe_parts(path[len(store.root) :].lstrip("/"), store.url)
        wanted = parts and (is_photo_name(parts[-1]) or parts[-1].lower().endswith(TABLE_SUFFIXES))
        if wanted and not any(is_hidden(part) for part in parts):
            objects.append(_Object(parts, path, _token(store, info)))
    if not objects:
        raise UsageError(f"{store.url}: there are no photos; check the address")
    return objects


def _mirror(store: _RemoteStore, objects: list[_Object], cache: Path) -> Path:
    listing = "\n".join(f"{'/'.join(item.parts)} {item.token}" for item in objects)
    folder = cache / "folders" / hashlib.sha256(listing.encode()).hexdigest()[:32]
    if folder.is_dir():
        return folder
    with new_folder(folder) as temporary:
        with ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="animals-fetch") as pool:
            files = list(pool.map(lambda item: _keep(store, item, cache), objects))
        for item, file in zip(objects, files, strict=True):
            target = temporary.joinpath(*item.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(file, target)
    return folder


def _keep(store: _RemoteStore, item: _Object, cache: Path) -> Path:
    """One object as a local file; fetched files outlive an interrupted run, so that the next one goes on."""
    suffix = "".join(Path(item.path).suffixes[-2:])
    file = cache / "objects" / item.token[:2] / f"{item.token}{suffix}"
    if file.is_file():
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cache_error(cache, error) from error
    try:
        with new_file(file, existing="keep", durable=False) as temporary:
            store.filesystem.get_file(item.path, str(temporary))
    except FileNotFoundError as error:
        raise AnimalsError(f"{store.url}: {item.path} has gone while the folder was being read; try again") from error
    except Exception as error:
        raise _unreachable(store.url, error) from error
    return file


def _token(store: _RemoteStore, info: dict[str, Any]) -> str:
    state = [str(info[key]) for key in _STATE if info.get(key) is not None]
    protocol = store.url.split("://")[0]
    return hashlib.sha256("\n".join([protocol, info["name"], str(info.get("size")), *state]).encode()).hexdigest()[:32]


def _open(url: str) -> _RemoteStore | Path:
    try:
        found = open_url(url, "reading")
    except UsageError:
        raise
    except Exception as error:
        raise _unreachable(url, error) from error
    return found if isinstance(found, Path) else _RemoteStore(url, found[0], found[1].rstrip("/"))


def _unreachable(url: str, error: Exception) -> AnimalsError:
    return AnimalsError(
        f"{url}: cannot be reached ({in_a_line(error)}); check the address, the network and your sign-in"
    )

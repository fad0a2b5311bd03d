"""The photos at the places that were named, one after the other: nothing here grows with their number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from animal_classification.data.discovery import PhotoPaths, WalkLog, table_name
from animal_classification.data.other_files import kind_of
from animal_classification.errors import UsageError
from animal_classification.imaging import is_photo_name
from animal_classification.scale.entries import PlannedPhoto
from animal_classification.scale.retry import Retry
from animal_classification.scale.shard_reader import local_etag
from animal_classification.scale.storage import is_bucket, open_bucket, refused

PAGE = 1000
"""Objects that a store is asked for at once: the most that Amazon's gives."""


@dataclass(frozen=True)
class FoundObject:
    """An object of a bucket: its key, its size in bytes, and what stands for its content."""

    key: str
    size: int
    etag: str


def list_photos(
    words: Sequence[str], *, leave_out: str | None = None, all_files: bool = False, log: WalkLog, retry: Retry
) -> Iterator[PlannedPhoto]:
    """Yield every photo once, by name within each place.

    Args:
        words: Folders, files and patterns of this machine, or ``gs://`` and ``s3://`` addresses; not both.
        leave_out: A folder that is no part of it: the batch's own.
        all_files: Files that do not end like a photo count as well.
        log: Takes what else is met.
        retry: What to do about faults.

    Raises:
        UsageError: A word stands for nothing, or both kinds were named.
        AnimalsError: A place cannot be listed.
    """
    remote = [is_bucket(word) for word in words]
    if any(remote) and not all(remote):
        raise UsageError("photos on this machine and photos in a bucket make two batches: plan one for each")
    if not any(remote):
        yield from _list_local(words, leave_out, all_files, log)
        return
    _refuse_nested(words)
    for word in words:
        prefix = "" if len(words) == 1 else f"{word.rstrip('/')}/"
        yield from _list_bucket(word, prefix, leave_out, all_files, log, retry)


def describe_places(words: Sequence[str]) -> list[str]:
    """The places as the journal of ``animals predict`` has them; addresses as they were typed.

    Raises:
        UsageError: A word stands for nothing.
    """
    return list(words) if any(map(is_bucket, words)) else PhotoPaths(words).describe()


def _list_local(words: Sequence[str], leave_out: str | None, all_files: bool, log: WalkLog) -> Iterator[PlannedPhoto]:
    paths = PhotoPaths(words, all_files=all_files)
    if leave_out is not None:
        paths.leave_out_folder(leave_out)
    for photo in paths.walk(log):
        path = str(Path(photo.path).absolute())
        try:
            status = os.stat(path)  # noqa: PTH116 - for every photo
        except (OSError, ValueError):
            yield PlannedPhoto(photo.name, path, 0, "")
        else:
            yield PlannedPhoto(photo.name, path, status.st_size, local_etag(status))


def _list_bucket(
    word: str, prefix: str, leave_out: str | None, all_files: bool, log: WalkLog, retry: Retry
) -> Iterator[PlannedPhoto]:
    filesystem, place = open_bucket(word)
    protocol = word.partition("://")[0]
    bucket, _, folder = place.partition("/")
    folder = folder.rstrip("/") + "/" if folder.strip("/") else ""
    own = leave_out.partition("://")[2].rstrip("/") + "/" if leave_out and is_bucket(leave_out) else None
    found = False
    pages = _s3_objects if protocol.startswith("s3") else _gcs_objects
    for item in pages(filesystem, bucket, folder, retry):
        name = item.key[len(folder) :]
        if any(part.startswith(".") for part in name.split("/")) or (own and f"{bucket}/{item.key}".startswith(own)):
            continue
        found = True
        if name.endswith("/") or not name:
            continue
        if all_files or is_photo_name(name):
            yield PlannedPhoto(table_name(prefix + name), f"{protocol}://{bucket}/{item.key}", item.size, item.etag)
        else:
            log.skipped[kind_of(name)] += 1
    if not found:
        raise UsageError(f"{word}: there is nothing there; check the address")


def _gcs_objects(filesystem: Any, bucket: str, folder: str, retry: Retry) -> Iterator[FoundObject]:
    """Objects below a folder, by Google's own JSON API (objects.list), through gcsfs."""

    def page(token: str | None) -> Any:
        more = {"pageToken": token} if token else {}
        return filesystem.call("GET", "b/{}/o", bucket, prefix=folder, maxResults=PAGE, json_out=True, **more)

    token: str | None = None
    while True:
        answer = _asked(retry, partial(page, token), f"gs://{bucket}/{folder}")
        for item in answer.get("items", ()):
            yield FoundObject(item["name"], int(item["size"]), str(item["generation"]))
        token = answer.get("nextPageToken")
        if not token:
            return


def _s3_objects(filesystem: Any, bucket: str, folder: str, retry: Retry) -> Iterator[FoundObject]:
    """Objects below a folder, by Amazon's ListObjectsV2, through s3fs."""

    def page(token: str | None) -> Any:
        more = {"ContinuationToken": token} if token else {}
        return filesystem.call_s3("list_objects_v2", Bucket=bucket, Prefix=folder, MaxKeys=PAGE, **more)

    token: str | None = None
    while True:
        answer = _asked(retry, partial(page, token), f"s3://{bucket}/{folder}")
        for item in answer.get("Contents", ()):
            yield FoundObject(item["Key"], int(item["Size"]), item["ETag"].strip('"'))
        token = answer.get("NextContinuationToken")
        if not token:
            return


def _asked(retry: Retry, ask: Callable[[], Any], place: str) -> Any:
    try:
        return retry.call(ask, f"list {place}")[0]
    except FileNotFoundError as error:
        raise UsageError(f"{place}: there is no such bucket; check the address") from error
    except PermissionError as error:
        raise refused("list", place) from error


def _refuse_nested(words: Sequence[str]) -> None:
    """One photo in two places would get two rows."""
    places = sorted(word.rstrip("/") + "/" for word in words)
    for first, second in pairwise(places):
        if second.startswith(first):
            raise UsageError(f"{second!r} is part of {first!r}: name only one of the two")

"""Remote bundles on the local disk, filed by content, so that nothing is fetched twice and nothing can be mixed up.

    blobs/<sha256>               one file of some bundle
    bundles/<sha256>/            a whole bundle, under the hash of its bundle.json; hard links to the blobs

Several processes may use one cache at once, and it may be deleted whenever no process uses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from animal_classification.bundle.document import parse_info
from animal_classification.bundle.location import Remote
from animal_classification.bundle.model import Bundle, check_hash, verified
from animal_classification.bundle.schema import INFO_FILE, BundleInfo
from animal_classification.common import atomic
from animal_classification.common.hashes import hash_file
from animal_classification.errors import BundleError, BundleInvalidError, BundleNotFoundError


def default_directory() -> Path:
    """The user's cache directory for models, as the system defines it (``XDG_CACHE_HOME`` on Linux)."""
    return Path(platformdirs.user_cache_dir("animals")) / "models"


@dataclass(frozen=True)
class Cache:
    """A directory of files and bundles under the names of their hashes.

    Attributes:
        root: Made when something is first put there.
    """

    root: Path

    def load(self, remote: Remote) -> Bundle:
        """The remote bundle, verified; only what is not here yet is fetched, ``bundle.json`` always.

        Raises:
            BundleNotFoundError: Not there, or not reachable.
            BundleError: A check failed, or the cache cannot be written.
        """
        data = self._fetch_info(remote)
        info = parse_info(data, f"{remote.url}/{INFO_FILE}")
        directory = self.root / "bundles" / hashlib.sha256(data).hexdigest()
        with self._writing():
            if directory.is_dir():
                try:
                    return verified(directory, remote.url)
                except BundleError:
                    pass  # damaged since: what is wrong is fetched anew
            for name, sha256 in info.files.items():
                if not self._holds(sha256):
                    self.fetch(remote, name, sha256)
            self._assemble(directory, data, info)
        return verified(directory, remote.url)

    def fetch(self, remote: Remote, name: str, sha256: str) -> None:
        """Fetches one file and checks it, even if it is in the cache.

        Raises:
            BundleNotFoundError: Not reachable.
            BundleInvalidError: Not there, or its content has another hash.
        """
        with self._writing(), atomic.new_file(self._blob(sha256), durable=False) as temporary:
            try:
                remote.filesystem.get_file(remote.path(name), str(temporary))
            except FileNotFoundError as error:
                raise BundleInvalidError(
                    f"{remote.url}/{name}: bundle.json lists it and it is not there; write the bundle again"
                ) from error
            except Exception as error:
                raise remote.unreachable(error) from error
            check_hash(hash_file(temporary), sha256, name, remote.url)

    def _fetch_info(self, remote: Remote) -> bytes:
        try:
            data: bytes = remote.filesystem.cat_file(remote.path(INFO_FILE))
        except FileNotFoundError as error:
            raise BundleNotFoundError(
                f"{remote.url}: there is no {INFO_FILE} there; check the address, or write the bundle again"
            ) from error
        except Exception as error:
            raise remote.unreachable(error) from error
        return data

    def _blob(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256

    def _holds(self, sha256: str) -> bool:
        blob = self._blob(sha256)
        return blob.is_file() and hash_file(blob) == sha256

    def _assemble(self, directory: Path, data: bytes, info: BundleInfo) -> None:
        with atomic.sibling(directory) as temporary:
            for name, sha256 in info.files.items():
                target = temporary / name
                target.parent.mkdir(parents=True, exist_ok=True)
                atomic.link_or_copy(self._blob(sha256), target)
            (temporary / INFO_FILE).write_bytes(data)
            try:
                atomic.put_folder(temporary, directory, existing="replace")
            except OSError:
                if not directory.is_dir():  # else another process was faster, with the same content
                    raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BundleError(
                f"{self.root}: the model cache cannot be used ({error}); free space, or set XDG_CACHE_HOME or cache_dir"
            ) from error

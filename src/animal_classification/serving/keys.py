"""API keys: made, kept as hashes in a file, looked up in constant time, and followed while the file changes.

A key reads ``animals_ID_SECRET``. The secret has 256 random bits, so that a plain SHA-256 of it can be kept: there is
no list of likely secrets to try, which is what slow hashes are for.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from animal_classification.errors import OutputError, UsageError

SCOPES = ("predict", "feedback", "admin")
LOOK_EVERY = 1.0  # seconds between looks at the file
MAX_FILE = 4 * 1024 * 1024
_KEY = re.compile(r"animals_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """What is kept of a key.

    Attributes:
        id: Public; stands in the key itself.
        name: Whose it is; stands in the log.
        scopes: What it allows; of ``SCOPES``.
        sha256: Of the secret, in hex.
        created: When, in UTC.
        expires: Until when it holds, in UTC; ``None`` for ever.
        rate_limit: Photos a minute, where it differs from the server's.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    sha256: str
    created: str
    expires: str | None = None
    rate_limit: float | None = None

    def expired(self, at: datetime) -> bool:
        """It does not hold any more."""
        return self.expires is not None and at >= datetime.fromisoformat(self.expires)


def new_key(
    name: str, scopes: tuple[str, ...], *, days: float | None = None, rate_limit: float | None = None
) -> tuple[str, Key]:
    """Make a key: the text to hand out, which is kept nowhere, and what to keep.

    Raises:
        UsageError: A scope, a name or a number that cannot be.
    """
    if unknown := set(scopes) - set(SCOPES):
        raise UsageError(f"unknown scope {sorted(unknown)[0]!r}: choose of {', '.join(SCOPES)}")
    if not scopes:
        raise UsageError(f"a key needs a scope: {', '.join(SCOPES)}")
    if not name.strip() or not name.isprintable() or len(name) > 80:
        raise UsageError("a key needs a name of 1 to 80 printable characters")
    now = datetime.now(UTC).replace(microsecond=0)
    identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = Key(
        id=identity,
        name=name,
        scopes=tuple(scope for scope in SCOPES if scope in scopes),
        sha256=_hash(secret),
        created=now.isoformat(),
        expires=None if days is None else (now + timedelta(days=days)).isoformat(),
        rate_limit=rate_limit,
    )
    return f"animals_{identity}_{secret}", key


def read_keys(path: Path) -> list[Key]:
    """Read a file of keys.

    Raises:
        UsageError: It is not there, or no such file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise ValueError(f"more than {MAX_FILE} bytes")
        return [_checked(Key(**{**item, "scopes": tuple(item["scopes"])})) for item in json.loads(data)["keys"]]
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); animals keys create makes it") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: is no file of API keys ({type(error).__name__}: {error})") from None


def write_keys(path: Path, keys: list[Key]) -> None:
    """Write a file of keys that only its owner may read, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"keys": [asdict(key) for key in keys]}, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None


class KeyRing:
    """The keys of a file, as it is now.

    A change counts within a second. Where the file becomes unreadable the keys read before hold on, and the log says
    so: neither does everybody get in, nor is everybody locked out.

    Raises:
        UsageError: The file cannot be read at the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._keys = {key.id: key for key in read_keys(path)}
        self._looked = time.monotonic()

    def find(self, text: str) -> Key | None:
        """The key that ``text`` is, if it is one that holds."""
        self._look()
        found = _KEY.fullmatch(text)
        key = self._keys.get(found[1]) if found else None
        # Compared in any case, so that it takes as long to be told that there is no such id.
        same = hmac.compare_digest(_hash(found[2] if found else text), key.sha256 if key else _NOBODY)
        if key is None or not same or key.expired(datetime.now(UTC)):
            return None
        return key

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = {key.id: key for key in read_keys(self._path)}
        except UsageError as error:
            logging.getLogger(__name__).error("the API keys stay as they were: %s", error)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _checked(key: Key) -> Key:
    texts: list[Any] = [key.id, key.name, key.sha256, key.created]
    if not all(isinstance(text, str) for text in texts) or not re.fullmatch("[0-9a-f]{64}", key.sha256):
        raise ValueError(f"the entry {key.id!r} is malformed")
    if set(key.scopes) - set(SCOPES):
        raise ValueError(f"the entry {key.id!r} has an unknown scope")
    if key.expires is not None and datetime.fromisoformat(key.expires).tzinfo is None:
        raise ValueError(f"the entry {key.id!r} expires at no certain time")
    if key.rate_limit is not None and not key.rate_limit >= 0:
        raise ValueError(f"the entry {key.id!r} has an odd rate limit")
    return key

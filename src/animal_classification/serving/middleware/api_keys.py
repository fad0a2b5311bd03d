"""API keys: created, kept as hashes in a file, looked up in constant time, and read again when the file changes.

A key reads ``animals_ID_SECRET``. The secret has 256 random bits, so a plain SHA-256 of it is safe to keep: slow hashes
only help against guessing from a list of likely secrets.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.errors import OutputError, UsageError
from animal_classification.serving.middleware.api_key_file import only_one, replace_whole

if TYPE_CHECKING:
    from collections.abc import Callable

Stamp = tuple[int, int, int, int]

SCOPES = ("predict", "feedback", "metrics", "admin")
ADMIN = "admin"
PREFIX = "animals_"  # every key begins with it
LOOK_EVERY = 1.0  # seconds between looks at the file
MAX_FILE = 4 * 1024 * 1024
_KEY = re.compile(PREFIX + r"([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """What is kept of a key.

    Attributes:
        id: Public; part of the key itself.
        name: Whose it is; shown in the log.
        scopes: What it allows; some of ``SCOPES``.
        sha256: Of the secret, in hex.
        created: When, in UTC.
        expires: Until when it is valid, in UTC; ``None`` for ever.
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
        """Whether it is no longer valid."""
        return self.expires is not None and at >= datetime.fromisoformat(self.expires)

    def allows(self, scope: str) -> bool:
        """Whether it has that scope, or ``admin``, which includes all others."""
        return scope in self.scopes or ADMIN in self.scopes


def new_key(
    name: str, scopes: tuple[str, ...], *, days: float | None = None, rate_limit: float | None = None
) -> tuple[str, Key]:
    """Create a key: the text to hand out, which is kept nowhere, and what is kept.

    Raises:
        UsageError: A scope or a name is invalid.
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
    return f"{PREFIX}{identity}_{secret}", key


def read_keys(path: Path) -> list[Key]:
    """Read a file of keys.

    Raises:
        UsageError: It is not there, or is no file of keys.
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
    """Write a file of keys, whole or not at all; a new one can be read by its owner only.

    Raises:
        OutputError: It cannot be written.
    """
    replace_whole(path, (json.dumps({"keys": [asdict(key) for key in keys]}, indent=2) + "\n").encode())


def change_keys(path: Path, change: Callable[[list[Key]], list[Key]]) -> None:
    """Change a file of keys under a lock, and make sure afterwards that it has changed.

    Args:
        path: The file; it need not be there.
        change: Makes the new list from the one that is there.

    Raises:
        UsageError: It is no file of keys; and what ``change`` raises.
        OutputError: It cannot be written, or something else has changed it meanwhile.
    """
    with only_one(path):
        wanted = change(read_keys(path) if path.exists() else [])
        write_keys(path, wanted)
        if read_keys(path) != wanted:
            raise OutputError(
                f"{path}: something else has just changed it; try again, then look with animals keys list"
            )


class KeyRing:
    """The keys of a file, as it is now.

    A change takes effect within a second. While the file is unreadable the keys read before stay valid, and the log and
    a metric report it: nobody is let in without a key, and nobody is locked out.

    Args:
        path: The file.
        on_look: Called after each check with whether the file could be read.

    Raises:
        UsageError: The file cannot be read at the start.
    """

    def __init__(self, path: Path, *, on_look: Callable[[bool], None] = lambda _: None) -> None:
        self._path = path
        self._on_look = on_look
        self._trouble: str | None = None
        self._stamp = _stamp(path)
        self._keys = {key.id: key for key in read_keys(path)}
        self._looked = time.monotonic()

    def find(self, text: str) -> Key | None:
        """The key that ``text`` is, if it is valid."""
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
        if stamp != self._stamp or self._trouble is not None:
            self._read(stamp)
        self._on_look(self._trouble is None)

    def _read(self, stamp: Stamp | None) -> None:
        """Read the file. A failure is tried again at the next check, because changed permissions change no stamp."""
        try:
            self._keys = {key.id: key for key in read_keys(self._path)}
        except UsageError as error:
            if str(error) != self._trouble:
                logging.getLogger(__name__).error("the API keys stay as they were: %s", error)
            self._trouble = str(error)
        else:
            self._stamp, self._trouble = stamp, None


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


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

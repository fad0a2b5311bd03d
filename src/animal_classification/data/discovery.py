"""From what was typed after ``animals predict`` to photos, in a fixed order, without ever holding all their names.

A folder is read with everything below it, in the order of the full names, skipping what is hidden. Linked folders come
last, and no folder is read twice, so links that go round in a circle end. May import ``imaging`` and ``errors``.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from animal_classification.common.suggest import nearest_file
from animal_classification.data.glob import EVERYTHING, Pattern, State, is_pattern, split_pattern
from animal_classification.data.other_files import kind_of
from animal_classification.errors import UsageError
from animal_classification.imaging import is_photo_name
from animal_classification.imaging.folder_identity import FolderId, folder_id


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A file to look at.

    Attributes:
        name: What the table calls it.
        path: Where it is.
        fetch: Brings it, where a path alone does not: its bytes, or a path to open; raises ``ImageError``. Called once,
            from the thread that decodes.
    """

    name: str
    path: str
    fetch: Callable[[], bytes | str] | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """One of the places that were named: a file, or a folder with the pattern that its content must match.

    Attributes:
        path: The file or folder.
        prefix: What the table's names begin with; the whole name for a file.
        pattern: ``None`` for a file.
    """

    path: str
    prefix: str
    pattern: Pattern | None


@dataclass
class WalkLog:
    """What a walk came across besides photos.

    Attributes:
        skipped: How many files do not end like a photo, by what they are.
        lost: Folders that vanished or may not be listed, with the reason.
    """

    skipped: Counter[str] = field(default_factory=Counter)
    lost: dict[str, str] = field(default_factory=dict)


class PhotoSource(Protocol):
    """Where photos come from: the words of a call (:class:`PhotoPaths`), or the shard of a batch."""

    @property
    def folders(self) -> list[str]:
        """The folders that are read."""
        ...

    def describe(self) -> list[str]:
        """What the names in the table depend on: for telling two calls apart."""
        ...

    def walk(self, log: WalkLog | None = None) -> Iterator[FoundPhoto]:
        """Every photo once; what else is met goes into ``log``."""
        ...


class PhotoPaths:
    """The photos that a list of words stands for; see docs/predict.md for the rules.

    Args:
        words: Files, folders and patterns, as typed.
        leave_out: Files and folders that are never part of it: our own output.
        all_files: Files that do not end like a photo count as well; what they are is decided by their content.

    Raises:
        UsageError: A word stands for nothing.
    """

    def __init__(self, words: Sequence[str], *, leave_out: Sequence[Path] = (), all_files: bool = False) -> None:
        self._all_files = all_files
        found = [_root(word, alone=len(words) == 1) for word in words]
        self.roots = list(dict.fromkeys(found))
        self._files = frozenset(root.prefix for root in self.roots if root.pattern is None)
        self._left_out = {path.name: path.resolve() for path in leave_out}
        self._closed: list[str] = []
        for word, root in zip(words, found, strict=True):
            if root.pattern not in (None, EVERYTHING) and next(self._walk(root, WalkLog(), set()), None) is None:
                raise UsageError(f"no photo matches {word!r}")

    def leave_out_folder(self, folder: str) -> None:
        """Never enter this folder, however it is reached; it need not be there yet."""
        self._closed.append(folder)

    @property
    def folders(self) -> list[str]:
        """The folders that are read."""
        return [root.path for root in self.roots if root.pattern is not None]

    def describe(self) -> list[str]:
        """What the names in the table depend on, apart from the files themselves: for telling two calls apart."""
        described = [
            table_name(f"{Path(root.path, *root.pattern.parts).resolve()} as {root.prefix or '.'}")
            for root in self.roots
            if root.pattern is not None
        ]
        return [*described, table_name(f"files from {Path.cwd()}")] if self._files else described

    def walk(self, log: WalkLog | None = None) -> Iterator[FoundPhoto]:
        """Yield every photo once; what else is met goes into ``log``."""
        log = WalkLog() if log is None else log
        read_whole = {identity for path in self._closed if (identity := _identity(path))}
        for index, root in enumerate(self.roots):
            if root.pattern is None:
                yield FoundPhoto(table_name(root.prefix), root.path)
                continue
            seen = read_whole if root.pattern is EVERYTHING else set(read_whole)
            for name, path in self._walk(root, log, seen):
                if not self._has_own_row(name, self.roots[:index]):
                    yield FoundPhoto(table_name(name), path)

    def _has_own_row(self, name: str, earlier: Sequence[Root]) -> bool:
        """Whether a file that a folder or pattern holds was named by itself, or belongs to an earlier one."""
        return name in self._files or any(
            root.pattern is not None and name.startswith(root.prefix) and root.pattern.matches(name[len(root.prefix) :])
            for root in earlier
        )

    def _walk(self, root: Root, log: WalkLog, seen: set[FolderId]) -> Iterator[tuple[str, str]]:
        assert root.pattern is not None
        folders = deque([_Folder(root.path, root.prefix, root.pattern.start)])
        while folders:
            # Linked folders are put at the end, so that a photo is met under its own name before a link's.
            stack = [self._list(folders.popleft(), root.pattern, log, seen)]
            while stack:
                entry = next(stack[-1], None)
                if entry is None:
                    stack.pop()
                elif not isinstance(entry, _Folder):
                    yield entry
                elif entry.linked:
                    folders.append(entry)
                else:
                    stack.append(self._list(entry, root.pattern, log, seen))

    def _list(
        self, folder: _Folder, pattern: Pattern, log: WalkLog, seen: set[FolderId]
    ) -> Iterator[tuple[str, str] | _Folder]:
        """The photos (name, path) and folders directly in ``folder``, in order."""
        try:
            for key in _sorted_names(folder, pattern, seen):
                name = key.rstrip("/")
                path = os.path.join(folder.path, name)  # noqa: PTH118 - Path() costs ten times as much, per photo
                state = pattern.step(folder.state, name)
                if name != key and state:
                    yield _Folder(path, f"{folder.prefix}{name}/", state, linked=key.endswith("//"))
                elif name == key and pattern.accepts(state) and not self._is_left_out(name, path):
                    if self._all_files or is_photo_name(name):
                        yield f"{folder.prefix}{name}", path
                    else:
                        log.skipped[kind_of(name)] += 1
        except OSError as error:
            log.lost[folder.path] = reason(error)

    def _is_left_out(self, name: str, path: str) -> bool:
        return name in self._left_out and Path(path).resolve() == self._left_out[name]


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    prefix: str
    state: State
    linked: bool = False


def _identity(path: str) -> FolderId | None:
    try:
        return folder_id(path)
    except OSError:
        return None


def _sorted_names(folder: _Folder, pattern: Pattern, seen: set[FolderId]) -> list[str]:
    """What is in a folder, sorted; a folder's name ends with one slash, a link's to a folder with two.

    With the slash, folders sort as the full names of the photos in them do.

    Raises:
        OSError: The folder vanished or may not be listed.
    """
    identity = folder_id(folder.path)
    if identity in seen:
        return []
    seen.add(identity)
    with os.scandir(folder.path) as entries:
        return sorted(_key(entry) for entry in entries if not _is_hidden(entry, folder.state, pattern))


def _key(entry: os.DirEntry[str]) -> str:
    if entry.is_dir(follow_symlinks=False):
        return f"{entry.name}/"
    try:
        linked = entry.is_symlink() and entry.is_dir()
    except OSError:  # a circle of links, which is a photo that cannot be read
        linked = False
    return f"{entry.name}//" if linked else entry.name


def _is_hidden(entry: os.DirEntry[str], state: State, pattern: Pattern) -> bool:
    if entry.name.startswith("."):
        return not pattern.wants_hidden(state)
    attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0) if os.name == "nt" else 0
    return bool(attributes & getattr(stat, "FILE_ATTRIBUTE_HIDDEN", 2))


def _root(word: str, *, alone: bool) -> Root:
    """What one word stands for; a file or folder by that very name comes before a pattern."""
    try:
        mode = Path(word).stat().st_mode if word else None
    except OSError as error:
        mode = Path(word).lstat().st_mode if os.path.islink(word) else None  # noqa: PTH114 - never raises
        if mode is None and isinstance(error, PermissionError):
            raise UsageError(f"{word!r} may not be read (permission denied)") from error
    except ValueError:
        mode = None
    if mode is None:
        if word.startswith(("gs://", "s3://")):
            raise UsageError(
                f"{word} is in a bucket, which animals batch reads: animals batch plan {word} --output DIR, then "
                "animals batch run DIR and animals batch merge DIR --output FILE"
            )
        if not is_pattern(word):
            raise UsageError(f"no such file or folder: {word!r}{nearest_file(Path(word))}")
        folder, pattern = split_pattern(word)
        if not Path(folder or ".").is_dir():
            raise UsageError(f"no such folder: {folder!r}{nearest_file(Path(folder))}")
        return Root(folder or ".", _as_prefix(folder), pattern)
    if stat.S_ISDIR(mode):
        return Root(word, "" if alone else _as_prefix(word), EVERYTHING)
    if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
        return Root(word, _plain(word), None)
    raise UsageError(f"{word!r} is neither a file nor a folder")


def _plain(word: str) -> str:
    """A path as typed, with forward slashes and without the parts that say nothing."""
    slashed = word.replace(os.sep, "/")
    parts = [part for part in slashed.split("/") if part not in ("", ".")]
    return ("/" if slashed.startswith("/") else "") + "/".join(parts)


def _as_prefix(folder: str) -> str:
    plain = _plain(folder)
    return plain if plain.endswith("/") or not plain else f"{plain}/"


_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4})")
_ESCAPED = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4})")


def table_name(name: str) -> str:
    r"""A name that any table can hold: bytes that are not UTF-8 become ``\xff``, and no two names become one.

    In such a name, and in one that looks like it, a backslash is doubled.

    >>> table_name("caf\udce9.jpg"), table_name(r"caf\xe9.jpg"), table_name("café.jpg")
    ('caf\\xe9.jpg', 'caf\\\\xe9.jpg', 'café.jpg')
    """
    if name.isascii() and "\\" not in name:
        return name
    with suppress(UnicodeEncodeError):
        # The same bytes have the same name in the table, whatever language the system is set to.
        name = os.fsencode(name).decode("utf-8", "surrogateescape")
    odd = any("\ud800" <= character <= "\udfff" for character in name)
    if not odd and not _ESCAPE.search(name):
        return name
    return "".join(_escaped(character) for character in name)


def from_table_name(name: str) -> str:
    r"""The path that has this name in tables, as this system takes it: the reverse of :func:`table_name`.

    >>> from_table_name("caf\\xe9.jpg") == os.fsdecode(b"caf\xe9.jpg")
    True
    """
    if name.isascii() and "\\" not in name:
        return name
    plain = _ESCAPED.sub(_unescaped, name) if _ESCAPE.search(name) else name
    with suppress(UnicodeEncodeError):
        return os.fsdecode(plain.encode("utf-8", "surrogateescape"))
    return plain


def _unescaped(found: re.Match[str]) -> str:
    text = found[1]
    if text == "\\":
        return text
    code = int(text[1:], 16)
    return chr(0xDC00 + code if text[0] == "x" else code)


def _escaped(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if 0xD800 <= code <= 0xDFFF else character


def reason(error: OSError) -> str:
    """What the system says, in words for a person."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "it is not there any more"
    if isinstance(error, PermissionError):
        return "permission denied"
    return (error.strerror or type(error).__name__).lower()

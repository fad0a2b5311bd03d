"""Patterns such as ``photos/**/*.jpg``, matched name by name while folders are walked.

What is matched is a path's parts; a folder that matches stands for everything in it, as when a shell expands the
pattern. Walking with the pattern, and not collecting its matches, keeps the order and the memory of a plain folder.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cache

_MAGIC = re.compile(r"[*?[]")
State = frozenset[int]


@dataclass(frozen=True)
class Pattern:
    """A pattern's parts, as a machine whose state is the set of parts that may come next.

    Attributes:
        parts: Patterns for one name each; ``**`` is any number of folders.
    """

    parts: tuple[str, ...]

    @property
    def start(self) -> State:
        return self._settled({0})

    def step(self, state: State, name: str) -> State:
        """The state after a name; empty where nothing below it can match."""
        hidden = name.startswith(".")
        following: set[int] = set()
        for part in state:
            if part == len(self.parts) or self.parts[part] == "**":
                following.update(() if hidden else (part,))
            elif _matches(self.parts[part], name):
                following.add(part + 1)
        return self._settled(following)

    def matches(self, path: str) -> bool:
        """Whether a whole path, with forward slashes, matches."""
        state = self.start
        for name in path.split("/"):
            state = self.step(state, name)
        return self.accepts(state)

    def accepts(self, state: State) -> bool:
        return len(self.parts) in state

    def wants_hidden(self, state: State) -> bool:
        """Whether a part that may come next is itself written with a leading dot."""
        return any(part < len(self.parts) and self.parts[part].startswith(".") for part in state)

    def _settled(self, state: set[int]) -> State:
        for part in sorted(state):
            following = part
            while following < len(self.parts) and self.parts[following] == "**":
                following += 1
                state.add(following)
        return frozenset(state)


EVERYTHING = Pattern(())


def is_pattern(word: str) -> bool:
    return _MAGIC.search(word) is not None


def split_pattern(word: str) -> tuple[str, Pattern]:
    """The folder before the first part with a wildcard, and the pattern from there on."""
    parts = re.split(f"[/{re.escape(os.sep)}]", word)
    first = next(index for index, part in enumerate(parts) if is_pattern(part))
    folder = "/".join(parts[:first])
    if first == 1 and parts[0] == "":
        folder = "/"
    return folder, Pattern(tuple(part for part in parts[first:] if part not in ("", ".")))


def _matches(part: str, name: str) -> bool:
    if name.startswith(".") and not part.startswith("."):
        return False
    return _compiled(part).match(name) is not None


@cache
def _compiled(part: str) -> re.Pattern[str]:
    return re.compile(translate(part), re.IGNORECASE if os.name == "nt" else 0)

"""What a run's folder remembers of its trackers, so that a run that goes on, goes on in the same place.

Not in ``run.json``: trackers write from threads of their own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from animal_classification.common.atomic import write_bytes

IDS = "tracking.json"
_lock = threading.Lock()


def recall(folder: Path) -> dict[str, dict[str, str]]:
    """What was noted, by tracker; empty where there is nothing to read."""
    try:
        found = json.loads((folder / IDS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(folder: Path, tracker: str, facts: Mapping[str, str]) -> None:
    """Note where a tracker keeps the run.

    Raises:
        OSError: The system refuses.
    """
    with _lock:
        text = json.dumps({**recall(folder), tracker: dict(facts)}, indent=2) + "\n"
        write_bytes(text.encode(), folder / IDS)


class Logged:
    """Which numbers a tracker has been given, on disk: for those that cannot be asked."""

    def __init__(self, path: Path, *, resumed: bool) -> None:
        self._seen: set[tuple[int, str]] = set()
        if resumed and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    step, names = json.loads(line)
                except ValueError:  # the line that a killed run was writing
                    continue
                self._seen.update((step, name) for name in names)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a" if resumed else "w", encoding="utf-8")
        if self._seen:
            self._file.write("\n")  # ends a line that was cut short

    def new(self, names: Iterable[str], step: int) -> list[str]:
        """Those that have not been noted for this step."""
        return [name for name in names if (step, name) not in self._seen]

    def note(self, names: Iterable[str], step: int) -> None:
        """They have been given."""
        fresh = list(names)
        self._seen.update((step, name) for name in fresh)
        self._file.write(json.dumps([step, fresh]) + "\n")
        self._file.flush()

    def last_step(self) -> int:
        """The highest step noted; 0 where there is none."""
        return max((step for step, _ in self._seen), default=0)

    def close(self) -> None:
        self._file.close()

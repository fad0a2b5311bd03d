"""How much memory somebody's file may take while it is read: by what its parsing makes of it, not by its bytes.

A file of some kilobytes can stand for gigabytes: equal values packed into Parquet, two cells in opposite corners of a
sheet, a member of a zip that is one long run of commas. A process that runs out of memory is killed without a word, so
every reader counts what it makes, and stops with one line while there is room.
"""

from __future__ import annotations

from animal_classification.common.limits import available_memory
from animal_classification.errors import UsageError

# Of the memory of this machine, or of its container.
_SHARE = 0.75
_WITHOUT_LIMIT = 8 << 30  # bytes, where nothing says how much memory there is
# What CPython 3.11 to 3.13 takes, in bytes, with the place in the list or object that holds it.
ROW, CELL = 200, 100
_OBJECT, _LIST, _TEXT, _ITEM = 232, 88, 60, 32


class ReadingBudget:
    """Counts what is made of one file.

    Args:
        where: The file's name, for the message.
        most: Bytes; by default three quarters of the memory that this process may use.
    """

    def __init__(self, where: str, most: int | None = None) -> None:
        self._where = where
        self._most = most_memory() if most is None else most
        self._taken = 0

    def take(self, size: int) -> None:
        """Count ``size`` more bytes.

        Raises:
            UsageError: That is more than there is.
        """
        self._taken += size
        if self._taken > self._most:
            raise UsageError(
                f"{self._where} would take more memory than there is here ({self._most:,} bytes) when it is read; "
                "split it, and read one part at a time"
            )


def most_memory() -> int:
    """Bytes that reading one file may take."""
    memory = available_memory()
    return _WITHOUT_LIMIT if memory is None else int(memory * _SHARE)


def json_memory(data: bytes) -> int:
    """An upper estimate, in bytes, of what a JSON text becomes; it takes about a millisecond a megabyte.

    >>> json_memory(b'{"a": [1, 2]}')
    489
    """
    counts = {mark: data.count(mark) for mark in (b"{", b"[", b'"', b",")}
    return (
        len(data)
        + _OBJECT * counts[b"{"]
        + _LIST * counts[b"["]
        + _TEXT * (counts[b'"'] // 2)
        + _ITEM * (counts[b","] + counts[b"["] + counts[b"{"])
    )

"""Photos that the loop must never collect again, because somebody asked to have them deleted.

    FOLDER/forgotten.json     a random salt, and HMAC-SHA256 of the hash of each such photo under it

A photo can be checked against the list, but the list names no photo: its entries are worth nothing beside the hashes
of another log or another loop. It is kept apart from the ledger, whose rows nobody can ever change.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from animal_classification.common.text_files import write_text
from animal_classification.errors import AnimalsError

FILE = "forgotten.json"


@dataclass(frozen=True)
class ForgottenPhotos:
    """The list of one loop.

    Attributes:
        file: Where it is, or will be.
        salt: In hex.
        marks: What stands for the photos.
    """

    file: Path
    salt: str
    marks: frozenset[str]

    @classmethod
    def read(cls, home: Path) -> ForgottenPhotos:
        """The list of the loop in this folder; an empty one where nothing was forgotten yet.

        Raises:
            AnimalsError: It is damaged: nobody can say what must not be collected.
        """
        file = home / FILE
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return cls(file, bytes.fromhex(found["salt"]).hex(), frozenset(map(str, found["photos"])))
        except FileNotFoundError:
            return cls(file, secrets.token_hex(16), frozenset())
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise AnimalsError(
                f"{str(file)!r} cannot be read, and without it the loop may collect photos that somebody asked to "
                "delete: put it back from a backup"
            ) from error

    def __contains__(self, photo: object) -> bool:
        return isinstance(photo, str) and bool(self.marks) and self._mark(photo) in self.marks

    def __bool__(self) -> bool:
        return bool(self.marks)

    def add(self, photos: Iterable[str]) -> ForgottenPhotos:
        """The list with these photos, on the disk; ``photos`` are SHA-256 in hex.

        Raises:
            OutputError: It cannot be written.
        """
        marks = self.marks | {self._mark(photo) for photo in photos}
        if marks != self.marks:
            write_text(json.dumps({"salt": self.salt, "photos": sorted(marks)}, indent=1) + "\n", self.file)
        return ForgottenPhotos(self.file, self.salt, marks)

    def _mark(self, photo: str) -> str:
        return hmac.digest(bytes.fromhex(self.salt), photo.encode(), "sha256").hex()

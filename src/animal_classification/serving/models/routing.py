"""Who answers under which name: one model, beside it perhaps a canary that answers a share, and a shadow that does not.

All of this happens on the event loop, so that a change is one step for every request.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from animal_classification.serving.http.problem_details import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from animal_classification.serving.http.uploads import UploadedPhoto
    from animal_classification.serving.models.served_model import ServedModel
    from animal_classification.serving.models.shadow import Shadow

# So much of a photo's beginning and of its end decides who answers; a whole one would hold up the event loop.
_PIECE = 32 * 1024


@dataclass(slots=True)
class Slot:
    """What serves under one name.

    Attributes:
        current: Answers.
        canary: Answers ``canary_share`` of the requests, where it is there.
        canary_share: In (0, 1].
        shadow: Gets a share of what ``current`` has answered.
    """

    current: ServedModel
    canary: ServedModel | None = None
    canary_share: float = 0.0
    shadow: Shadow | None = None

    def answering(self) -> Iterator[ServedModel]:
        """Everything that answers."""
        yield self.current
        if self.canary is not None:
            yield self.canary

    def choose(self, photos: Sequence[UploadedPhoto]) -> ServedModel:
        """Who answers for these photos: for the same first photo always the same."""
        if self.canary is None or not photos or fraction(photos[0].data, b"canary") >= self.canary_share:
            return self.current
        return self.canary


class Slots:
    """All models of a server by name; the first one is the default."""

    def __init__(self) -> None:
        self._slots: dict[str, Slot] = {}

    def __iter__(self) -> Iterator[tuple[str, Slot]]:
        yield from self._slots.items()

    def install(self, name: str, model: ServedModel) -> None:
        """Let a model answer from now on; the one before is retired."""
        slot = self._slots.get(name)
        if slot is None:
            self._slots[name] = Slot(model)
            return
        before, slot.current = slot.current, model
        before.retire()

    def install_canary(self, name: str, model: ServedModel | None, share: float) -> None:
        """Let a canary answer a share from now on, or nobody; the one before is retired."""
        slot = self._slots[name]
        before, slot.canary, slot.canary_share = slot.canary, model, share
        if before is not None:
            before.retire()

    def find(self, name: str | None = None) -> Slot:
        """What serves under a name, or by default.

        Raises:
            ProblemError: 503 while nothing is installed; 404 where there is no such model.
        """
        if not self._slots:
            raise ProblemError(
                503, "the model is still loading; try again", kind="not-ready", headers={"Retry-After": "1"}
            )
        if name is None:
            return next(iter(self._slots.values()))
        if name not in self._slots:
            raise self._no_such(name)
        return self._slots[name]

    def version(self, name: str, version: str) -> ServedModel:
        """The model that answers with a version.

        Raises:
            ProblemError: 404 where none does.
        """
        found = next((model for model in self.find(name).answering() if model.info.version == version), None)
        if found is None:
            raise self._no_such(f"{name} {version}")
        return found

    def _no_such(self, asked: str) -> ProblemError:
        there = ", ".join(
            f"{name} {model.info.version}" for name, slot in self._slots.items() for model in slot.answering()
        )
        return ProblemError(404, f"no model {asked[:80]!r} here; there is: {there}", kind="no-such-model")


def fraction(data: bytes, salt: bytes) -> float:
    """A number in [0, 1) that depends on a photo alone, and is spread evenly over photos.

    Args:
        data: The photo.
        salt: At most 16 bytes; other numbers for other purposes.
    """
    digest = hashlib.blake2b(len(data).to_bytes(8, "little"), digest_size=7, salt=salt)
    digest.update(data[:_PIECE])
    digest.update(data[-_PIECE:])
    return int.from_bytes(digest.digest(), "little") / 2**56

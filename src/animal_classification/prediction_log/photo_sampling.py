"""Which photos are looked at more closely: by people, for the audit, and by the monitor, for their statistics.

A choice depends on the photo's hash, so that the same photo is chosen, or not, wherever it comes in. For the audit its
probability is kept with the prediction, which makes an unbiased accuracy of a few answers (``monitoring.audit``).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from animal_classification.prediction_log.record import PredictionRecord

# The least share of the probability that a photo without any doubt has, so that sure mistakes are found as well.
FLOOR = 0.1
# Two frames of one burst: cosine of their embeddings.
SAME_SCENE = 0.97
REMEMBERED = 128  # scenes
_HOUR = 3600.0


def fraction(photo: str, purpose: str) -> float:
    """A number in [0, 1) that depends on a photo alone, spread evenly over photos.

    Args:
        photo: Its SHA-256, in hex.
        purpose: At most 16 characters; each purpose has its own numbers.
    """
    digest = hashlib.blake2b(photo.encode("ascii"), digest_size=7, salt=purpose.encode("ascii"))
    return int.from_bytes(digest.digest(), "little") / 2**56


@dataclass(frozen=True, slots=True)
class AuditRate:
    """How probable it is that a photo is chosen.

    Attributes:
        kappa: The mean probability, as long as none is cut to 1.
        mean_doubt: Of the photos that come.
    """

    kappa: float
    mean_doubt: float = 0.1

    def probability(self, doubt: float) -> float:
        """Of a photo with this doubt: ``min(1, kappa (0.1 + 0.9 doubt / mean doubt))``."""
        return min(1.0, self.kappa * (FLOOR + (1.0 - FLOOR) * doubt / max(self.mean_doubt, 1e-6)))

    @classmethod
    def for_number(cls, wanted: float, photos: float, doubts: Sequence[float]) -> AuditRate:
        """The rate that chooses about ``wanted`` of ``photos``.

        Args:
            wanted: How many photos to choose.
            photos: How many will come.
            doubts: Of some of them, drawn evenly; where there are none, all are taken to be alike.
        """
        mean = float(np.mean(doubts)) if len(doubts) else 0.1
        share = min(1.0, wanted / max(photos, 1.0))
        if share >= 1.0:
            return cls(1.0 / FLOOR, mean)  # all of them
        if not len(doubts):
            return cls(share, mean)
        weights = FLOOR + (1.0 - FLOOR) * np.asarray(doubts, np.float64) / max(mean, 1e-6)
        low, high = 0.0, 1.0 / FLOOR
        for _ in range(50):  # what is cut to 1 is missing from the mean, and has to come from the others
            middle = (low + high) / 2
            low, high = (middle, high) if np.minimum(1.0, middle * weights).mean() < share else (low, middle)
        return cls(high, mean)


class AuditSampler:
    """Chooses photos for people to look at; from any thread.

    Args:
        per_day: About how many a day; 0 for none.
    """

    def __init__(self, per_day: float) -> None:
        self.per_day = per_day
        self._rate: AuditRate | None = None
        self._came = 0
        self._scenes = RecentScenes()
        self._lock = threading.Lock()

    def set_rate(self, photos: float, doubts: Sequence[float]) -> None:
        """Set how probable it is to be chosen, by what came on the last day.

        Args:
            photos: How many came, one of each burst.
            doubts: Of the latest of them.
        """
        rate = AuditRate.for_number(self.per_day, photos, doubts) if photos >= self.per_day else None
        with self._lock:
            self._rate, self._came = rate, int(photos)

    def decide(self, record: PredictionRecord) -> PredictionRecord:
        """The record with its probability and the choice; without a probability for one more frame of a burst."""
        if not self.per_day:
            return record
        with self._lock:
            if self._scenes.has(record):
                return record
            self._came += 1
            rate = self._rate
            # Until there is a day to go by, each photo is taken for the last of its day: the first ones are all chosen.
            probability = rate.probability(record.doubt) if rate else min(1.0, self.per_day / self._came)
        return replace(record, audit=probability, audited=fraction(record.photo, "audit") < probability)


class SceneFrame(Protocol):
    """What tells a scene: a photo, its embedding (float16), and where it came from."""

    @property
    def photo(self) -> str:
        """SHA-256."""
        ...

    @property
    def embedding(self) -> bytes:
        """Little-endian; empty where there is none."""
        ...

    @property
    def source(self) -> str:
        """Camera or site."""
        ...


class RecentScenes:
    """The last scenes that came, to tell bursts and copies from new ones.

    Args:
        most: How many are remembered.
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._photos: deque[str] = deque(maxlen=most)
        self._sources: NDArray[np.int64] = np.zeros(most, np.int64)
        self._embeddings: NDArray[np.float32] | None = None
        self._next = 0

    def has(self, frame: SceneFrame) -> bool:
        """Whether this is one more of a scene; else it is remembered."""
        if frame.photo in self._photos:
            return True
        embedding = np.frombuffer(frame.embedding, "<f2").astype(np.float32)
        embedding /= max(float(np.linalg.norm(embedding)), 1e-12)
        source = hash(frame.source)
        if len(embedding):
            if self._embeddings is None or self._embeddings.shape[1] != len(embedding):  # another model
                self._embeddings = np.zeros((self._most, len(embedding)), np.float32)
            cosines = self._embeddings @ embedding
            if ((cosines >= SAME_SCENE) & (self._sources == source)).any():
                return True
            self._embeddings[self._next], self._sources[self._next] = embedding, source
            self._next = (self._next + 1) % self._most
        self._photos.append(frame.photo)
        return False


class HourlyShare:
    """Takes at most so many photos an hour, chosen by their hash; from any thread.

    Args:
        most: How many.
        purpose: See :func:`fraction`.
    """

    def __init__(self, most: int, purpose: str) -> None:
        self._most = most
        self._purpose = purpose
        self._lock = threading.Lock()
        self._hour = -1
        self._came = self._taken = 0
        self._share = 1.0

    def takes(self, photo: str, now: float | None = None) -> bool:
        """Whether this photo is taken.

        Args:
            photo: Its SHA-256, in hex.
            now: Seconds since 1970; the clock's by default.
        """
        hour = int((time.time() if now is None else now) // _HOUR)
        with self._lock:
            if hour != self._hour:
                # As many as last hour are expected; nobody knows how many come in the first.
                self._share = min(1.0, self._most / self._came) if self._came else 1.0
                self._hour, self._came, self._taken = hour, 0, 0
            self._came += 1
            if self._taken >= self._most or fraction(photo, self._purpose) >= self._share:
                return False
            self._taken += 1
            return True

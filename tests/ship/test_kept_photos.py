"""Kept photos in Google's storage, as far as its emulator goes."""

from __future__ import annotations

import pytest

from animal_classification.prediction_log.photo_keeper import PhotoKeeper
from animal_classification.prediction_log.photo_store import PhotoBucket, photos_at

pytest.importorskip("gcsfs")


def test_replicas_share_photos(bucket: str) -> None:
    first, second = (photos_at(f"{bucket}/kept") for _ in range(2))
    assert isinstance(first, PhotoBucket)
    names = [f"{number:064x}" for number in range(3)]
    assert first.sweep(most_bytes=0, days=1).deleted == 0, "there is nothing yet"
    assert second.having(names) == set()
    keeper = PhotoKeeper(first, lambda data: data, most_bytes=10**6, days=1)
    for name in names:
        assert keeper.keep(name, b"lion" * 100)
    keeper.close(60)
    assert second.having(names) == set(names)
    assert second.read(names[0]) == b"lion" * 100
    assert second.read("f" * 64) is None
    assert second.touch(names[0])
    assert not second.touch("f" * 64)
    assert second.sweep(most_bytes=10**6, days=1).deleted == 0, "they are all of today"
    assert second.sweep(most_bytes=900, days=1).deleted == 1
    assert first.sweep(most_bytes=0, days=0).deleted == 2
    assert first.having(names) == set()

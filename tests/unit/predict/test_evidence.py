"""What stands in a journal about a file, as somebody else may have written it."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import numpy as np
import pytest

from animal_classification.predict.evidence import pack, unpack
from animal_classification.predict.timeline import PhotoSources


def test_probabilities_come_back() -> None:
    values = np.linspace(0, 1, 398)
    np.testing.assert_allclose(unpack(pack(values)), values, atol=5e-4)


def test_a_bomb_of_zeros_is_refused() -> None:
    """A line of some hundred kilobytes stood for half a gigabyte."""
    bomb = base64.b64encode(zlib.compress(bytes(200 << 20), 9)).decode()
    with pytest.raises(ValueError, match="damaged probabilities"):
        unpack(bomb)


@pytest.mark.parametrize(
    "text", ["", "!", "AAAA", base64.b64encode(zlib.compress(b"abc")).decode(), pack(np.ones(9))[:-8]]
)
def test_what_is_no_vector_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says, the caller names the file
        unpack(text)


def test_a_timeline_shows_no_photo_from_elsewhere(tmp_path: Path) -> None:
    """A journal from a stranger names files; only those below the places that were read are opened."""
    cards, private = tmp_path / "cards", tmp_path / "private.jpg"
    cards.mkdir()
    private.touch()
    (cards / "a.jpg").touch()
    sources = PhotoSources([f"{cards} as north/"])
    assert sources.find("north/a.jpg") == cards / "a.jpg"
    for name in ("north/../private.jpg", f"north/{private}", "north//../private.jpg", "north/./../private.jpg"):
        assert sources.find(name) is None
    assert PhotoSources([f"{cards} as ."]).find(str(private)) is None

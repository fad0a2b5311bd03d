"""Photos for the tests of imaging: drawn ones everywhere, real ones where there are some."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.imaging.drawing import corpus


@pytest.fixture(scope="session")
def drawn() -> dict[str, bytes]:
    return corpus()


@pytest.fixture(scope="session")
def real_photos(photos_dir: Path) -> dict[str, list[Path]]:
    folders = [photos_dir / name for name in ("imagenet_animals", "ena24_sample") if (photos_dir / name).is_dir()]
    assert folders
    return {
        folder.name: sorted(path for path in folder.glob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
        for folder in folders
    }

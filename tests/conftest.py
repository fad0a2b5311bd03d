"""Marks every test by the folder it lies in, and finds the photos that some of them need."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says more about what else runs on the machine than about the code.
hypothesis.settings.register_profile("animals", deadline=None)
hypothesis.settings.load_profile("animals")

HERE = Path(__file__).parent
MARKERS = {
    "unit": "unit",
    "integration": "integration",
    "fuzz": "integration",
    "hostile": "integration",
    "e2e": "e2e",
    "torch": "torch",
    "ship": "ship",
}  # by folder
PHOTOS_VARIABLE = "ANIMALS_TEST_DATA"
SAMPLES = "SAMPLES.md"
"""Marks a folder of ``make sample-photos``: tests run there that say ``@pytest.mark.photos(samples=True)``."""


def pytest_configure() -> None:
    """A developer's own ``ANIMALS_…`` variables must not decide what passes."""
    for name in [name for name in os.environ if name.startswith("ANIMALS_") and name != PHOTOS_VARIABLE]:
        del os.environ[name]
    # Nor may a test change what this user's programs remember.
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="animals-tests-")
    # A shell starts what runs in the background with Ctrl-C ignored, and all that tests start would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_photos = pytest.mark.skip(reason=f"{PHOTOS_VARIABLE} does not name a folder of photos")
    too_few = pytest.mark.skip(reason="needs the whole test data, not the few photos of `make sample-photos`")
    photos = _photos()
    samples = photos is not None and (photos / SAMPLES).is_file()
    for item in items:
        marker = MARKERS.get(item.path.relative_to(HERE).parts[0])
        if marker is not None:
            item.add_marker(marker)
        if "photos_dir" in getattr(item, "fixturenames", ()):
            item.add_marker("photos")
        asked = list(item.iter_markers("photos"))
        if asked and photos is None:
            item.add_marker(no_photos)
        elif asked and samples and not any(mark.kwargs.get("samples") for mark in asked):
            item.add_marker(too_few)


def _photos() -> Path | None:
    named = os.environ.get(PHOTOS_VARIABLE)
    return Path(named).resolve() if named and Path(named).is_dir() else None


@pytest.fixture(scope="session")
def photos_dir() -> Path:
    """The folder with ``imagenet_animals``, ``non_animals`` and more; tests that ask for it are marked ``photos``."""
    folder = _photos()
    assert folder is not None, "tests without photos are skipped before their fixtures are made"
    return folder


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Child processes without coverage, which would complain on their stderr where they may not write its file."""
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)

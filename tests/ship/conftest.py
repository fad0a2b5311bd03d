"""A cloud of one's own: Google's storage, emulated on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The address of an empty emulated bucket; the environment leads gcsfs, and whatever is built on it, there."""
    server = pytest.importorskip("gcp_storage_emulator.server")
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    emulator = server.create_server("127.0.0.1", 0, in_memory=True, default_bucket="animals")
    emulator.start()
    emulator._api._httpd.handle_error = lambda *_: None  # clients that hang up early are no news
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{emulator._api._httpd.server_address[1]}")
        patch.setenv("NO_GCE_CHECK", "true")  # nobody looks for a machine of Google's
        yield "gs://animals"
    emulator.stop()

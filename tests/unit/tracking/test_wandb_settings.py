"""How long W&B may keep a run waiting."""

from __future__ import annotations

import pytest

pytest.importorskip("wandb")

from animal_classification.tracking.wandb_tracker import _settings


def test_only_a_server_is_given_up_after_seconds() -> None:
    """A busy machine once took more than 15 seconds to begin a run in a file, which was then empty."""
    online, offline = _settings("online"), _settings("offline")
    assert (online.init_timeout, online.finish_timeout, online.finish_timeout_raises) == (15, 30, True)
    assert offline.init_timeout >= 60
    assert offline.finish_timeout == 0, "which is: until it is done"

"""A loop that is killed at any transition ends as one that was not; two at once do not meet."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from animal_classification.cli.main import main
from animal_classification.data.manifest import Manifest
from animal_classification.loop.config import load_config
from animal_classification.loop.lock import only_one
from animal_classification.loop.workplace import open_workplace
from animal_classification.prediction_log.words import standing_words
from animal_classification.registry import Registry
from tests.support.loop_killer import MOMENTS
from tests.support.loop_place import configure, place, say

pytestmark = pytest.mark.timeout(1800)
STATES = ["collected", "trained", "gated", "canary", "canary", "promoted", "watched", "closed"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with words on it; the tests work on copies."""
    root = tmp_path_factory.mktemp("place")
    place(root)
    say(root, 9)
    return root


def copy_of(prepared: Path, target: Path) -> Path:
    """The same somewhere else: the registry's files stay where they are, and all else is written anew."""
    shutil.copytree(prepared, target)
    configure(target)
    return target


def end_state(root: Path) -> dict[str, Any]:
    """All that must not depend on when somebody pulled the plug."""
    config = load_config(root / "loop.yaml")
    with open_workplace(config) as work:
        rows = work.ledger.transitions()
        problems = work.ledger.verify()
        words = {word.collected for word in standing_words(work.engine)}
    registry = Registry.open(config.registry)
    manifest = Manifest.read(root / "photos" / "feedback" / "TINY-0001" / "manifest.parquet")
    return {
        "states": [row.state for row in rows],
        "ends": [row.decision.get("reason") for row in rows],
        "problems": problems,
        "collected": words,
        "aliases": registry.aliases("tiny"),
        "versions": len(registry.versions("tiny")),
        "before": registry.production_before("tiny"),
        "data": manifest.version,
        "splits": {str(row.sha256): row.split for row in manifest},
        "left": sorted(path.name for path in (root / "photos" / "feedback").iterdir()),
        "runs": len(list((root / "loop" / "TINY-0001" / "runs").iterdir())),
    }


def killed(root: Path, moment: str, count: int) -> int:
    words = [sys.executable, "-m", "tests.support.loop_killer", str(root / "loop.yaml"), moment, str(count)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = copy_of(prepared, tmp_path_factory.mktemp("undisturbed") / "place")
    assert killed(root, "never", 0) == 0
    found = end_state(root)
    assert found["states"] == STATES
    assert found["problems"] == []
    assert found["collected"] == {"TINY-0001"}
    assert (found["aliases"], found["versions"], found["before"]) == ({"production": 2}, 2, [1])
    return found


def test_killed_at_every_transition(prepared: Path, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    """One after the other in one cycle, each at another moment: every process gets one transition further."""
    root = copy_of(prepared, tmp_path / "place")
    for number in range(len(STATES)):
        # The one before died after, between or before its row was complete; this one begins where that one got to.
        assert killed(root, MOMENTS[1 + number % 2], 0) == -9
    assert main(["loop", "run", "--config", str(root / "loop.yaml")]) == 0
    assert end_state(root) == undisturbed


@pytest.mark.nightly
@pytest.mark.parametrize("count", range(len(STATES)))
def test_killed_three_times_at_each(prepared: Path, undisturbed: dict[str, Any], tmp_path: Path, count: int) -> None:
    for moment in MOMENTS:
        root = copy_of(prepared, tmp_path / moment)
        assert killed(root, moment, count) == -9
        for _ in range(2):
            killed(root, moment, 0)
        assert killed(root, "never", 0) == 0
        assert end_state(root) == undisturbed, moment


def test_two_at_once(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "place"
    root.mkdir()
    config = load_config(configure(root))
    with only_one(config.home):
        assert main(["loop", "run", "--config", str(root / "loop.yaml")]) == 1
    assert "is at work in process" in capsys.readouterr().err

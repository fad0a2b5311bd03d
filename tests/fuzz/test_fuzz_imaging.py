"""A short run of the fuzzer, and proof that it notices what it looks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import fuzz_imaging
from tests.fuzz.mutations import mutate


@pytest.mark.timeout(120)
def test_two_thousand_damaged_photos(tmp_path: Path) -> None:
    options = fuzz_imaging.parse(["--count", "2000", "--seed", "7", "--jobs", "2", "--save-to", str(tmp_path)])
    total, passed = fuzz_imaging.fuzz(options)
    assert passed, "\n".join(total.failures)
    assert sum(total.outcomes.values()) == 2000
    assert len(total.outcomes) >= 3, total.outcomes
    assert total.outcomes["decoded"] > 200, total.outcomes


def test_cases_can_be_repeated() -> None:
    seeds = [b"\xff\xd8\xff\xe0" + bytes(range(200)), b"\x89PNG\r\n\x1a\n" + bytes(50)]
    assert [mutate(seeds, 3, n) for n in range(50)] == [mutate(seeds, 3, n) for n in range(50)]
    assert mutate(seeds, 3, 0) != mutate(seeds, 4, 0)


CULPRITS = {
    "raises": "raise KeyError('surprise')",
    "hangs": "import time; time.sleep(30)",
    "crashes": "import os; os.abort()",
}


@pytest.mark.parametrize("what", CULPRITS)
def test_failures_are_noticed_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    # A stand-in for `imaging.decode` that fails in the worker on one case of ten.
    script = tmp_path / "fuzz.py"
    source = Path(fuzz_imaging.__file__).read_text(encoding="utf-8")
    source = source.replace("parents[2]", "parents[0]").replace("ROOT = Path(__file__).resolve().parents[0]", "")
    source = source.replace("sys.path[:0] =", f"ROOT = Path({str(fuzz_imaging.ROOT)!r})\nsys.path[:0] =")
    source = source.replace("def check(data: bytes) -> str:", f"def check(data: bytes) -> str:\n    {CULPRITS[what]}")
    script.write_text(source, encoding="utf-8")
    monkeypatch.setattr(fuzz_imaging, "__file__", str(script))
    arguments = ["--count", "2", "--seconds-per-file", "1", "--jobs", "1", "--save-to", str(tmp_path / "kept")]
    total, passed = fuzz_imaging.fuzz(fuzz_imaging.parse(arguments))
    assert not passed
    assert len(total.failures) == 2
    assert {"raises": "surprise", "hangs": "hang", "crashes": "crash"}[what] in total.failures[0]
    assert len(list((tmp_path / "kept").iterdir())) == 2

"""A server that follows the registry while it is asked: the short form of ``make soak-models``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from tests.soak import promotions


@pytest.mark.timeout(240)
@pytest.mark.parametrize("workers", [1, 2])
def test_no_answer_is_wrong_while_versions_change(workers: int) -> None:
    words = ["--model", "tiny", "--engine", "onnxruntime", "--changes", "4", "--workers", str(workers)]
    with ThreadPoolExecutor(1) as pool:  # Playwright, once started, keeps an event loop running in the main thread
        tally = pool.submit(promotions.soak, promotions.parse(words)).result()
    assert not tally.failures, "\n".join(tally.failures[:20])
    assert set(tally.answered) == {"1", "2"}
    assert len(tally.takeovers) == 4

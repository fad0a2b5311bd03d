"""A short run of the fuzzer of requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from tests.fuzz import fuzz_serving


@pytest.mark.timeout(120)
def test_a_thousand_damaged_requests() -> None:
    options = fuzz_serving.parse(["--count", "1000", "--seed", "7", "--growth-mb", "40"])
    with ThreadPoolExecutor(1) as pool:  # Playwright, once started, keeps an event loop running in the main thread
        total, passed = pool.submit(fuzz_serving.fuzz, options).result()
    assert passed, "\n".join(total.failures)
    assert sum(total.statuses.values()) == 1000
    assert total.statuses["200"] > 100, total.statuses
    assert total.statuses["400"] > 100, total.statuses

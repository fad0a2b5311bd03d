"""A short run of the hostile clients; ``make hostile`` is the long one."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from tests.hostile import bombs, routes, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
CROWD = ("--holders", "400", "--some", "20", "--connections", "200")
SMALLER = ("--pixels", "4000000", "--text-bytes", "4000000", "--memory", "1024")
SOONER = ("--more", "--head-timeout", "2", "--body-timeout", "3", "--keep-alive", "2")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_few_seconds_among_hostile_clients(workers: str) -> None:
    shape = ("--workers", workers, *CROWD, *SMALLER, *SOONER)
    options = run.parse(["--minutes", "0.1", "--alone", "2", "--untimed", *shape])
    with ThreadPoolExecutor(1) as pool:  # Playwright, once started, keeps an event loop running in the main thread
        report = pool.submit(run.run, options).result()
    assert report.failures == [], report.table()
    assert {"predict, kept", "predict, new", "healthz"} == report.during.seconds.keys(), report.table()
    assert report.attacks["hold"] > 400, report.table()
    assert {"half_head", "half_body", "broken_upload", "endless_body"} <= report.attacks.keys(), report.table()


def test_the_routes_are_those_of_the_application(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("log")
    found = routes.routes(folder)
    shutil.rmtree(folder)
    known = {
        ("POST", "/v1/predict"),
        ("POST", "/v1/feedback"),
        ("DELETE", "/v1/feedback/1"),
        ("POST", "/v2/models/tiny/infer"),
        ("POST", "/v2/models/tiny/versions/1/infer"),
        ("GET", "/healthz"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
    }
    assert known <= set(found)
    assert len(found) > 50


def test_the_bombs_are_small_and_declare_much() -> None:
    made = dict(bombs.photos(1_000_000))
    assert {"png-alpha", "gif", "tiff-float", "jpeg-progressive-cmyk", "webp-alpha"} <= made.keys()
    assert max(map(len, made.values())) < 200_000
    assert len(dict(bombs.texts(1000))) >= 10

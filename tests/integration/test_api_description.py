"""schemathesis holds the running server to its own OpenAPI document, with all its checks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
if find_spec("schemathesis") is None:
    pytest.skip("needs: pip install schemathesis", allow_module_level=True)

from tests.e2e.serving import Server
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("described")
    bundle = write_tiny_bundle(folder / "tiny")
    words = ("--no-page", "--model", str(bundle), "--engine", "onnxruntime", "--prediction-log")
    server = Server(*words, folder=folder, name="serve")
    assert server.address
    yield server
    server.kill()


# Two checks ask for what cannot be. Whatever stands in a file's part may be a photo, and what is none gets an entry of
# its own, not a refusal of the request. And that a tensor has as many photos as its shape says is beyond a schema.
@pytest.mark.parametrize(
    "options",
    [
        ("--exclude-path-regex", "(infer|/v1/predict)$"),
        ("--include-path-regex", "/v1/predict$", "--exclude-checks", "negative_data_rejection"),
        ("--include-path-regex", "infer$", "--exclude-checks", "positive_data_acceptance"),
    ],
    ids=["all", "predict", "infer"],
)
def test_the_server_does_what_its_description_says(
    server: Server, options: tuple[str, ...], tmp_path: Path, unmeasured: None
) -> None:
    words = ["--checks", "all", "--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1"]
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{server.address}/openapi.json",
            *words,
            *options,
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "generated" in run.stdout
    assert len(server.lines) == 1, server.output

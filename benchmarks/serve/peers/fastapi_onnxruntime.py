"""FastAPI and ONNX Runtime: the route that a person writes, with the settings that a person would try."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from anyio import to_thread
from fastapi import FastAPI, File, UploadFile

from benchmarks.serve.peers.common import answer_of, labels_of, onnxruntime_session, parser, pixels_of


def make_app(options: argparse.Namespace) -> FastAPI:
    """The application; the route runs on threads, of which there are ``options.pool``."""
    app = FastAPI()
    labels = labels_of(options.bundle)
    session = onnxruntime_session(options.bundle, options.threads)

    if options.pool:

        @app.on_event("startup")
        async def bound() -> None:
            to_thread.current_default_thread_limiter().total_tokens = options.pool

    @app.post("/predict")
    def predict(files: Annotated[UploadFile, File()]) -> dict[str, Any]:
        pixels = pixels_of(files.file.read())[None]
        return answer_of(session.run(["logits"], {"images": pixels})[0][0], labels)

    return app


def from_environment() -> FastAPI:
    """The application in a worker process."""
    bundle, threads, pool = os.environ["PEER_OPTIONS"].rsplit(":", 2)
    return make_app(argparse.Namespace(bundle=Path(bundle), threads=int(threads), pool=int(pool)))


def main() -> None:
    """Serve."""
    words = parser()
    words.add_argument("--pool", type=int, default=0, help="threads for requests; 0 for the usual 40")
    words.add_argument("--workers", type=int, default=1)
    options = words.parse_args()
    common: dict[str, Any] = {"port": options.port, "log_level": "warning", "access_log": False}
    if options.workers == 1:
        uvicorn.run(make_app(options), **common)
        return
    os.environ["PEER_OPTIONS"] = f"{options.bundle}:{options.threads}:{options.pool}"
    application = "benchmarks.serve.peers.fastapi_onnxruntime:from_environment"
    uvicorn.run(application, factory=True, workers=options.workers, **common)


if __name__ == "__main__":
    main()

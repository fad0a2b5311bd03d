"""BentoML over ONNX Runtime: a service whose API takes a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import bentoml

from benchmarks.serve.peers.common import answer_of, labels_of, onnxruntime_session, parser, pixels_of

WORKERS = int(os.environ.get("PEER_WORKERS", "1"))


@bentoml.service(workers=WORKERS, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Animals:
    """One model in each worker; what is not async runs on threads."""

    def __init__(self) -> None:
        bundle = Path(os.environ["PEER_BUNDLE"])
        self._labels = labels_of(bundle)
        self._session = onnxruntime_session(bundle, int(os.environ["PEER_THREADS"]))

    @bentoml.api
    def predict(self, files: Path) -> dict[str, Any]:
        pixels = pixels_of(files.read_bytes())
        return answer_of(self._session.run(["logits"], {"images": pixels[None]})[0][0], self._labels)


def main() -> None:
    """Serve: BentoML's own command, whose settings come by the environment."""
    words = parser()
    words.add_argument("--workers", type=int, default=1)
    options = words.parse_args()
    environment = {
        **os.environ,
        "PEER_BUNDLE": str(options.bundle),
        "PEER_THREADS": str(options.threads),
        "PEER_WORKERS": str(options.workers),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    command = [sys.executable, "-m", "bentoml", "serve", "benchmarks.serve.peers.with_bentoml:Animals"]
    where = ["--host", "127.0.0.1", "--port", str(options.port)]
    sys.exit(subprocess.run([*command, *where], env=environment, check=False).returncode)


if __name__ == "__main__":
    main()

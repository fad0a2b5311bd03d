"""LitServe over ONNX Runtime: decoding and inference in worker processes."""

# LitServe looks at the annotations themselves, so they must not be strings.
from pathlib import Path
from typing import Any

import litserve
from fastapi import Request

from benchmarks.serve.peers.common import answer_of, labels_of, onnxruntime_session, parser, pixels_of


class Animals(litserve.LitAPI):  # type: ignore[misc]
    """The four verbs of LitServe."""

    def __init__(self, bundle: Path, threads: int) -> None:
        super().__init__()
        self._bundle, self._threads = bundle, threads

    def setup(self, device: str) -> None:
        self._labels = labels_of(self._bundle)
        self._session = onnxruntime_session(self._bundle, self._threads)

    def decode_request(self, request: Request) -> Any:  # of a form, it hands over the fields
        return pixels_of(request["files"].file.read())

    def predict(self, x: Any) -> Any:
        return self._session.run(["logits"], {"images": x[None]})[0][0]

    def encode_response(self, output: Any) -> dict[str, Any]:
        return answer_of(output, self._labels)


def main() -> None:
    """Serve."""
    words = parser()
    words.add_argument("--workers", type=int, default=1)
    options = words.parse_args()
    server = litserve.LitServer(
        Animals(options.bundle, options.threads), accelerator="cpu", workers_per_device=options.workers
    )
    server.run(host="127.0.0.1", port=options.port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()

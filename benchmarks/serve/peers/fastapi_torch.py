"""FastAPI and PyTorch: timm's network with the same weights, loaded once."""

from __future__ import annotations

from typing import Annotated, Any

import torch
import uvicorn
from fastapi import FastAPI, File, UploadFile

from benchmarks.predict.torch_loop import Settings, load_model
from benchmarks.serve.peers.common import answer_of, labels_of, parser, pixels_of


def main() -> None:
    """Serve."""
    options = parser().parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    app = FastAPI()
    labels = labels_of(options.bundle)
    model = load_model(Settings(channels_last=True))

    @app.post("/predict")
    def predict(files: Annotated[UploadFile, File()]) -> dict[str, Any]:
        pixels = torch.from_numpy(pixels_of(files.file.read()).copy())
        images = ((pixels.permute(2, 0, 1)[None].float() - 127) / 128).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            logits = model(images)[0].numpy()
        return answer_of(logits, labels)

    uvicorn.run(app, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()

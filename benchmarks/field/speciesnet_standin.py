"""A stand-in for SpeciesNet's detector: MegaDetector v5a's network, YOLOv5x6, of the same size, with random weights.

    python benchmarks/field/speciesnet_standin.py FOLDER

Runs in a Python that has SpeciesNet (`pip install speciesnet`), which brings PyTorch and YOLOv5 along. FOLDER gets a
model as SpeciesNet loads it from disk, and `standin.onnx`, the same network for `animals detectors add`. What is found
means nothing; how long it takes does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

SIDE, CLASSES = 1280, 3
UNUSED = ("classifier", "classifier_labels", "taxonomy", "geofence")  # by a run of the detector alone


def main() -> None:
    """Write both."""
    import torch
    import yolov5
    from yolov5.models.yolo import Model

    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    model = Model(str(Path(yolov5.__file__).parent / "models/hub/yolov5x6.yaml"), ch=3, nc=CLASSES).eval()
    torch.save({"model": model}, folder / "detector.pt")
    names = {name: f"{name}.none" for name in UNUSED}
    about = {"version": "standin", "type": "always_crop", "detector": "detector.pt", **names}
    (folder / "info.json").write_text(json.dumps(about), encoding="utf-8")
    model.model[-1].export = True
    example = torch.zeros(1, 3, SIDE, SIDE)
    torch.onnx.export(
        model, (example,), folder / "standin.onnx", opset_version=17, output_names=["output"], dynamo=False
    )


if __name__ == "__main__":
    main()

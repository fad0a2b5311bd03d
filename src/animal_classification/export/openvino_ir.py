"""OpenVINO's intermediate representation: two files that its runtime maps into memory without converting anything."""

from __future__ import annotations

import tempfile
from pathlib import Path

from animal_classification.errors import EngineError
from animal_classification.inference.openvino_import import import_openvino

IR_MODEL = "openvino/model.xml"
IR_FILES = (IR_MODEL, "openvino/model.bin")


def as_ir(model: bytes, where: str) -> tuple[bytes, bytes]:
    """The description and the weights, in half precision, of an ONNX graph.

    Args:
        model: The graph.
        where: What it is called in messages.

    Raises:
        EngineError: OpenVINO refuses the graph.
    """
    ov = import_openvino()
    with tempfile.TemporaryDirectory(prefix="animals-export-") as folder:
        target = Path(folder) / "model.xml"
        try:
            ov.save_model(ov.Core().read_model(model), target, compress_to_fp16=True)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot convert {where}: {str(error).strip().splitlines()[-1]}") from error
        return target.read_bytes(), target.with_suffix(".bin").read_bytes()

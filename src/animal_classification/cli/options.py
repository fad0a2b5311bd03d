"""Options that several commands share, and the words that they offer.

The words are repeated here, so that ``--help`` imports no engine and no NumPy; a test holds them to the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from animal_classification import data

Command = Callable[..., Any]

ENGINES = ("auto", "openvino", "onnxruntime", "onnxruntime-cuda")
SPLITS = ("test", "val", "train", "fresh", "all")
SOURCE_KINDS = (
    *("auto", "classes", "splits", "table", "imagefolder", "archive", "manifest", "animal-mnist", "kaggle"),
    *("megadetector", "camtrap-dp", "coco", "wildlife-insights", "timelapse"),
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else, for scripts."
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress and no notes.")
engine_option = click.option(
    "--engine", type=click.Choice(ENGINES), default="auto", show_default=True, help="What runs the model."
)
unknown_option = click.option(
    "--unknown", multiple=True, metavar="PATH", help="Photos of none of the classes: a folder or file; may be repeated."
)
compare_option = click.option("--compare", metavar="MODEL", help="Another model, on the same photos.")
data_option = click.option(
    "--data", "source", metavar="SOURCE", help="Labelled photos; by default those that MODEL was trained on."
)
manifest_option = click.option(
    "-o", "--output", metavar="FILE", required=True, type=click.Path(path_type=Path), help="The manifest to write."
)
config_dir_option = click.option(
    "--config-dir",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Your own configuration tree, whose choices come first.",
)


def apply(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """One decorator from several; ``--help`` lists the options in this order."""

    def decorate(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def source_options(function: Command) -> Command:
    """The argument and options by which a source is read; the function gets them as ``source`` and ``options``."""
    return click.argument("source")(reading_options(function))


def reading_options(function: Command) -> Command:
    """The same without the argument, for commands whose source is an option."""

    @wraps(function)
    def read(source: str | None, kind: str, root: Path | None, **rest: Any) -> Any:
        names = {name: rest.pop(f"{name}_column") for name in ("path", "label", "split", "group")}
        columns = data.Columns(**names, missing=rest.pop("missing"))
        field = {"boxes": rest.pop("boxes"), "blanks": rest.pop("blanks")}
        options = data.SourceOptions(kind=kind, root=root, columns=columns, **field)
        return function(source=source, options=options, **rest)

    missing = "Words that mean an empty cell, joined by commas; none: only an empty one.  [default: NA,N/A,NaN,null]"
    return apply(
        *(_column_option(name) for name in ("path", "label", "split", "group")),
        click.option("--missing", metavar="WORDS", help=missing),
        click.option("--root", type=click.Path(path_type=Path), help="Folder that a table's paths start from."),
        click.option(
            "--boxes",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Boxes of another program, such as MegaDetector, for labels without any: animals are cut out.",
        ),
        click.option("--blanks", is_flag=True, help="Photos without anything are a class of their own, blank."),
        click.option("--kind", type=click.Choice(SOURCE_KINDS), default="auto", help="What SOURCE is."),
    )(read)


def _column_option(name: str) -> Callable[[Command], Command]:
    without = "; none: read none" if name in ("group", "split") else ""
    return click.option(f"--{name}-column", metavar="NAME", help=f"A table's column for the {name}{without}.")

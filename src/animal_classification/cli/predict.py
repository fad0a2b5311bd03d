"""``animals predict``: names for the animals in photos."""

from __future__ import annotations

from typing import Any

import click

from animal_classification.cli.options import engine_option, json_option
from animal_classification.inference.engine import installed_engine
from animal_classification.predict.writers.text import FORMATS


@click.command(name="predict")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the table to FILE: .csv, .xlsx (Excel), .json, .jsonl or .parquet; - for stdout.",
)
@click.option("--format", type=click.Choice(FORMATS), help="Format of the table, whatever FILE ends with.")
@click.option("--top-k", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many guesses per photo.")
@click.option("--resume", is_flag=True, help="Go on with the unfinished or finished table in --output.")
@click.option("--retry-errors", is_flag=True, help="With --resume: look again at photos that could not be read.")
@click.option("--overwrite", is_flag=True, help="Replace FILE even if it is no table that this command wrote.")
@click.option("--all-files", is_flag=True, help="A row for every file, whatever its name ends with.")
@click.option("--sort-into", metavar="DIR", help="Put the photos into a folder per animal below DIR.")
@click.option("--copy", "way", flag_value="copy", default=None, help="Sort by copying (the default).")
@click.option("--link", "way", flag_value="link", help="Sort by hard links, which take no space.")
@click.option("--symlink", "way", flag_value="symlink", help="Sort by symbolic links.")
@click.option("--dry-run", is_flag=True, help="Show what --sort-into would do; write nothing at all.")
@click.option(
    "--model",
    default="photos",
    show_default=True,
    help="A built-in name, a bundle's folder or URL, or NAME@ALIAS of the registry.",
)
@engine_option
@click.option("--threads", type=click.IntRange(min=1), help="CPUs to use.  [default: all]")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
def command(**options: Any) -> int:
    """Name the animals in photos.

    PATH is a photo, a folder (read with all its subfolders) or a quoted pattern such as 'photos/**/*.jpg'. Every file
    gets a row; one that cannot be read says why. Without --output, a terminal gets a table and a pipe gets csv.

    \b
    animals predict my-photos
    animals predict my-photos --output animals.csv
    animals predict my-photos --sort-into sorted --dry-run
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    installed_engine(options["engine"])
    from animal_classification.predict.job import run
    from animal_classification.predict.request import PredictRequest

    return run(PredictRequest(**options))

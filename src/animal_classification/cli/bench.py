"""``animals bench``: the benchmarks behind every speed claim.

They live in the checkout's ``benchmarks`` folder, not in the package: nobody who names animals needs them.
"""

# Imported where they are used: the benchmarks are only in a checkout.

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from animal_classification.cli.options import json_option
from animal_classification.common.console import say
from animal_classification.errors import MissingExtraError, OutputError, UsageError

_PACKAGE = Path(__file__).resolve().parents[1]
_repeat = click.option(
    "--repeat", type=click.IntRange(min=1), default=3, show_default=True, help="Runs of each contestant."
)
_update_docs = click.option(
    "--update-docs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put the table between this file's markers.",
)


@click.group(name="bench")
def command() -> None:
    """Measure how fast this machine names animals."""


@command.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--photos", type=click.IntRange(min=1), default=1000, show_default=True, help="How many to classify.")
@_repeat
@click.option(
    "--torch-python",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Python that has PyTorch.  [default: .venv-bench, or this one]",
)
@click.option(
    "--memory", default="10000,20000", show_default=True, help="How many photos to measure memory on; 0 for not at all."
)
@json_option
@_update_docs
def predict(
    *,
    folder: Path | None,
    photos: int,
    repeat: int,
    torch_python: Path | None,
    memory: str,
    as_json: bool,
    update_docs: Path | None,
) -> None:
    """Compare `animals predict` with a PyTorch loop and with what the cores allow.

    FOLDER holds full-size photos; by default it is imagenet_animals in $ANIMALS_TEST_DATA. A run takes about a quarter
    of an hour, and the machine to itself.
    """
    if sys.platform == "win32":
        raise UsageError("animals bench measures processes as Linux and macOS count them; Windows is not supported")
    module = find_benchmark("predict")
    options = module.run.Options(
        folder=(folder or _default_folder()).absolute(),
        photos=photos,
        repeat=repeat,
        torch_python=torch_python and torch_python.absolute(),  # not resolved: a virtual environment is a link
        memory=_parse_counts(memory),
    )
    if update_docs:
        _insert(module, update_docs, None)
    report = module.run.run(options, say)
    table = module.report.render(report)
    if update_docs:
        _insert(module, update_docs, table)
    click.echo(json.dumps(report, indent=2) if as_json else table)


@command.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@_repeat
@click.option(
    "--divisions",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Random divisions on which accuracy is compared; 0 for none.",
)
@json_option
@_update_docs
def train(*, folder: Path | None, repeat: int, divisions: int, as_json: bool, update_docs: Path | None) -> None:
    """Compare `animals train` with the engine alone and with the same done by hand.

    FOLDER holds a folder for each class; by default it is animals22 in $ANIMALS_TEST_DATA. Needs scikit-learn (extra:
    data), takes some minutes, and the machine to itself.
    """
    module = find_benchmark("train")
    if find_spec("sklearn") is None:
        raise MissingExtraError("animals bench train", "data")
    options = module.run.Options(
        folder=(folder or _default_folder("animals22")).absolute(), repeat=repeat, divisions=divisions
    )
    if update_docs:
        _insert(module, update_docs, None)
    report = module.run.run(options, say)
    table = module.report.render(report)
    if update_docs:
        _insert(module, update_docs, table)
    click.echo(json.dumps(report, indent=2) if as_json else table)


@command.command()
@click.argument("experiment", type=click.Choice(("trail", "ordinary", "speed")))
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", default="photos", show_default=True, help="What names the animals.")
@click.option("--detector", default="lite", show_default=True, help="What finds them.")
@click.option("--photos", type=click.IntRange(min=1), default=400, show_default=True, help="How many, but for trail.")
@click.option("--skip", type=click.IntRange(min=0), default=0, help="Others for ordinary: so many places further on.")
@click.option(
    "--speciesnet-python",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For speed: Python that has SpeciesNet, to be measured beside.",
)
def field(
    *,
    experiment: str,
    folders: tuple[Path, ...],
    model: str,
    detector: str,
    photos: int,
    skip: int,
    speciesnet_python: Path | None,
) -> None:
    """Measure a detector: trail photos with truth.csv, ordinary photos, or crops beside what the cores allow."""
    module = find_benchmark("field")
    peer = speciesnet_python and speciesnet_python.absolute()  # not resolved: a virtual environment is a link
    module.run.measure(experiment, folders, model, detector, module.run.Sample(photos, skip), peer)


@command.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--address", help="A server that runs already.  [default: one is started]")
@click.option("--key", help="An API key for it.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Of the server that is started."
)
@click.option("--concurrency", default="1,8,32", show_default=True, help="Closed loop: how many requests at once.")
@click.option("--rate", default="", help="Open loop: how many requests a second, for instance 20,50,80.")
@click.option("--seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="For each load.")
@click.option("--repeat", type=click.IntRange(min=1), default=3, show_default=True, help="Runs of each load.")
@click.option("--photos", type=click.IntRange(min=1), default=200, show_default=True, help="How many different ones.")
@click.option("--peers", is_flag=True, help="Compare with FastAPI, LitServe and BentoML (make peers), in one run.")
@click.option("--judging", metavar="MODEL", help="What judging drift costs: with and without, in turns (--rate).")
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path), help="A folder for pictures of what came out (SVG)."
)
@json_option
def serve(
    *,
    folder: Path | None,
    address: str | None,
    key: str | None,
    workers: int,
    concurrency: str,
    rate: str,
    seconds: float,
    repeat: int,
    photos: int,
    peers: bool,
    judging: str | None,
    plots: Path | None,
    as_json: bool,
) -> None:
    """Put a server under load: throughput, latency, and how much of the cores it makes use of.

    FOLDER holds full-size photos; by default it is imagenet_animals in $ANIMALS_TEST_DATA. The client shares the cores
    with the server.
    """
    module = find_benchmark("serve")
    options = module.run.Options(
        folder=(folder or _default_folder()).absolute(),
        address=address,
        serve=("--workers", str(workers), *(("--model", judging) if judging else ())),
        concurrency=_parse_counts(concurrency, "--concurrency"),
        rates=tuple(float(count) for count in _parse_counts(rate, "--rate")),
        seconds=seconds,
        repeat=repeat,
        count=photos,
        key=key,
    )
    if not options.concurrency and not options.rates:
        raise UsageError("nothing to measure: give --concurrency or --rate")
    if peers and (address or options.rates or plots):
        raise UsageError("--peers compares closed loops on servers of its own: leave out --address, --rate and --plots")
    if judging and (address or peers or plots or not options.rates):
        raise UsageError("--judging compares open loops on servers of its own: give --rate, and no other comparison")
    if judging:
        from benchmarks.serve import judging as comparison  # type: ignore[import-not-found,unused-ignore]

        report = comparison.run(options, say)
        click.echo(json.dumps(report, indent=2) if as_json else comparison.render(report))
        return
    if peers:
        from benchmarks.serve import compare  # type: ignore[import-not-found,unused-ignore]

        report = compare.run(options, say)
        click.echo(json.dumps(report, indent=2) if as_json else compare.render(report))
        return
    report = module.run.run(options, say)
    if plots:
        for path in module.plots.write(report, plots):
            say(f"written: {path}")
    click.echo(json.dumps(report, indent=2) if as_json else module.report.render(report))


@command.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--photos", type=click.IntRange(min=1), default=1592, show_default=True, help="How many names of them.")
@click.option("--workers", default="1,2", show_default=True, help="Numbers of workers of one thread, interleaved.")
@click.option("--shard", type=click.IntRange(min=1), default=50, show_default=True, help="Photos in a shard.")
@click.option("--ray", is_flag=True, help="Ray's actors as well (extra: scale).")
@click.option("--project/--no-project", default=True, show_default=True, help="Simulate more machines from it.")
@click.option(
    "--names", default="10000,100000", show_default=True, help="Numbers of names whose memory is measured; 0 for none."
)
@click.option("--repeat", type=click.IntRange(min=1), default=2, show_default=True, help="Turns; Ray has every second.")
@json_option
@_update_docs
def batch(
    *,
    folder: Path | None,
    photos: int,
    workers: str,
    shard: int,
    ray: bool,
    project: bool,
    names: str,
    repeat: int,
    as_json: bool,
    update_docs: Path | None,
) -> None:
    """Measure what a batch loses when several workers share the work, and simulate more machines.

    FOLDER holds full-size photos; by default it is imagenet_animals in $ANIMALS_TEST_DATA. What holds on a busy
    machine is processor time; photos a second want the machine to themselves.
    """
    module = find_benchmark("scale")
    options = module.run.Options(
        folder=(folder or _default_folder()).absolute(),
        photos=photos,
        workers=_parse_counts(workers, "--workers"),
        shard=shard,
        repeat=repeat,
        ray=ray,
        names=_parse_counts(names, "--names"),
    )
    if update_docs:
        _insert(module, update_docs, None)
    report = module.run.run(options, say)
    if project:
        report["projection"] = module.sim.project(report)
    table = module.report.render(report)
    if update_docs:
        _insert(module, update_docs, table)
    click.echo(json.dumps(report, indent=2) if as_json else table)


def find_benchmark(name: str) -> Any:
    """Import ``benchmarks/NAME`` of the checkout that this package, or the current folder, belongs to.

    Raises:
        UsageError: There is no checkout.
    """
    for root in (_PACKAGE.parents[1], Path.cwd()):
        if (root / "benchmarks" / name / "run.py").is_file() and (root / "pyproject.toml").is_file():
            if str(root) not in sys.path:
                sys.path.insert(0, str(root))
            import_module(f"benchmarks.{name}.run")
            return import_module(f"benchmarks.{name}")
    raise UsageError("the benchmarks are not part of the package: run this in a checkout of the source")


def _default_folder(name: str = "imagenet_animals") -> Path:
    data = os.environ.get("ANIMALS_TEST_DATA")
    folder = Path(data or "", name)
    if not data or not folder.is_dir():
        raise UsageError(f"which photos? name a FOLDER, or set ANIMALS_TEST_DATA to the folder that holds {name}")
    return folder


def _parse_counts(words: str, option: str = "--memory") -> tuple[int, ...]:
    parts = [word.strip() for word in words.split(",") if words.strip()]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"{option} takes numbers joined by commas, such as 10000,20000; not {words!r}")
    return tuple(sorted({int(part) for part in parts if int(part)}))


def _insert(module: Any, docs: Path, table: str | None) -> None:
    """Put ``table`` into ``docs``; without one only check that it could be."""
    text: str | None = module.report.insert(docs.read_text(encoding="utf-8"), table or "")
    if text is None:
        raise UsageError(
            f"{docs} has no place for the table: write {module.report.START} and {module.report.END} there"
        )
    if table is None:
        return
    try:
        docs.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{docs} cannot be written: {error.strerror}") from error

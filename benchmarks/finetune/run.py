"""`recipe=finetune` beside a plain Lightning + timm loop and fastai's `fine_tune`: time to an accuracy.

    python benchmarks/finetune/run.py --data ../shared/data/animals22 --cap 360

One process at a time, everything counted from the start of the process: imports, reading, decoding. On a machine that
others use as well, `taskset -c 1 env OMP_NUM_THREADS=1 python … --clock cpu` gives every contestant the same core and
counts CPU seconds, which on one core are what the clock would show if nobody else were there.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

HERE = Path(__file__).parent
SIZES = {0: 224, 1: 240, 2: 260}
Points = list[dict[str, float]]


def write_split(data: str, seed: int, folder: Path) -> Path:
    """The split that `animals train` makes, as a table that every contestant reads."""
    from animal_classification.config.compose import compose
    from animal_classification.training.prepare_data import prepare

    words = ["data=folder", f"data.path={data}", f"data.cache={folder / 'split-cache'}", f"seed={seed}"]
    dataset = prepare(compose(words), lambda *_: None)
    table = folder / f"split-{seed}.csv"
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "label", "split"))
        for name in ("train", "val", "test"):
            part = getattr(dataset, name)
            for row, file in zip(part.rows, part.files, strict=True):
                writer.writerow((file.absolute(), row.label, name))
    return table


def peer(script: str, table: Path, seed: int, options: argparse.Namespace) -> Points:
    """Run a peer until it ends or its time is up."""
    number = options.lite
    words = [str(table), str(number), str(SIZES[number]), str(options.epochs), str(seed), str(time.time())]
    process = subprocess.Popen(
        [sys.executable, str(HERE / script), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    # The clock of a peer stops while it is measured; and where CPU seconds count, others may stop it for long.
    timer = Timer(options.cap * (4 if options.clock == "cpu" else 1) + 60, process.kill)
    timer.start()
    points = []
    for point in _points(process):
        if point[options.clock] > options.cap:
            break
        points.append(point)
    timer.cancel()
    process.kill()
    _, complaint = process.communicate()
    if not points and process.returncode != -9:
        raise SystemExit(f"{script} failed:\n{complaint}")
    return points


def _points(process: subprocess.Popen[str]) -> Iterator[dict[str, float]]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            yield json.loads(line)


def ours(table: Path, folder: Path, seed: int, *words: str) -> Points:
    """`animals train` from empty caches; its only point is its end, the exported bundle measured."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        begun, cpu = time.time(), _cpu_of_children()
        done = subprocess.run(
            [
                sys.executable, "-m", "animal_classification.cli", "train", "--json", "data=folder",
                f"data.path={table}", f"data.cache={fresh}/cache", f"output={fresh}/runs", "tracking=none",
                f"seed={seed}", *words,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"animals train {' '.join(words)} failed:\n{done.stderr}")
        seconds, cpu = time.time() - begun, _cpu_of_children() - cpu
        return [{"seconds": seconds, "cpu": cpu, "accuracy": json.loads(done.stdout)["accuracy"]}]


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def race(options: argparse.Namespace, folder: Path) -> None:
    """Time to an accuracy, with the same backbone for all; and what `recipe=finetune` does by default."""
    if not importlib.util.find_spec("fastai"):
        print("fastai is not installed: pip install -r benchmarks/finetune/requirements.txt", file=sys.stderr)
    for number in range(options.rounds):
        seed = options.seeds[number % len(options.seeds)]
        print(f"\nround {number + 1}, division {seed}", flush=True)
        _round(options, write_split(options.data, seed, folder), folder, seed)


def _round(options: argparse.Namespace, table: Path, folder: Path, seed: int) -> None:
    number = options.lite
    small = "photos" if number == 0 else f"lite{number}"
    words = ("recipe=finetune", f"backbone={small}", f"backbone.size={SIZES[number]}")
    results = {f"animals, lite{number}": ours(table, folder, seed, *words)}
    results["animals, as it comes"] = ours(table, folder, seed, "recipe=finetune")
    results["Lightning + timm"] = peer("plain.py", table, seed, options)
    if importlib.util.find_spec("fastai"):
        results["fastai fine_tune"] = peer("with_fastai.py", table, seed, options)
    _show(results, options)


def _show(results: dict[str, Points], options: argparse.Namespace) -> None:
    base = next(iter(results.values()))[0][options.clock]
    print(f"\n| | {options.target:g} after | times ours | best accuracy | last accuracy | stopped after | of it CPU |")
    print("|---|---|---|---|---|---|---|")
    for name, points in results.items():
        last = points[-1] if points else dict.fromkeys(("accuracy", "seconds", "cpu"), float("nan"))
        best = max((point["accuracy"] for point in points), default=float("nan"))
        reached = next((point[options.clock] for point in points if point["accuracy"] >= options.target), None)
        first = "not reached" if reached is None else f"{reached:.0f} s"
        ratio = f"more than {options.cap / base:.1f}" if reached is None else f"{reached / base:.1f}"
        columns = f"{best:.3f} | {last['accuracy']:.3f} | {last['seconds']:.0f} s | {last['cpu']:.0f} s"
        print(f"| {name} | {first} | {ratio} | {columns} |")
    print(json.dumps(results), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder of photos, or whatever else data.path may be")
    parser.add_argument("--cap", type=float, default=360, help="seconds for each peer")
    parser.add_argument("--clock", choices=("seconds", "cpu"), default="seconds", help="what counts")
    parser.add_argument("--epochs", type=int, default=8, help="of each peer's schedule")
    parser.add_argument("--target", type=float, default=0.94, help="accuracy to reach")
    parser.add_argument("--lite", type=int, choices=tuple(SIZES), default=0, help="which EfficientNet-Lite")
    parser.add_argument("--rounds", type=int, default=1, help="of the race; each takes the next seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        race(options, Path(folder))


if __name__ == "__main__":
    main()

"""Whether two versions of the program say the same, and how fast each is.

    python tools/compare_versions.py OLD/animals NEW/animals --photos animals22 --others imagenet_animals

OLD and NEW are the commands of two installations. ``--photos`` lie in a folder for each class, ``--others`` in any.
Tables must be the same byte for byte; bundles and numbers may differ in what ``OWN`` names. Times are taken in turns;
processor seconds say more than the clock where other work is done beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

TABLES = ("csv", "json", "jsonl", "parquet")
# What says when and by which code: no two runs have it in common.
OWN = re.compile(
    r"(^|\.)(id|request_id|time|created|created_at|date|seconds|duration|code|commit|version|run|sha256|path|libraries)"
    r"(\.|$)"
)


class Cost(NamedTuple):
    wall: float
    cpu: float


def call(program: Path, *words: object, folder: Path) -> Cost:
    """Run a command in a folder; what it cost."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([str(program), *map(str, words)], cwd=folder, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{program} {' '.join(map(str, words))}: {done.stderr.strip()[-500:]}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - started, spent)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All values of a JSON document with their places."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for place, below in enumerate(value):
            yield from leaves(below, f"{path}.{place}")
    else:
        yield path, value


def differences(old: Any, new: Any) -> list[str]:
    """Where two documents differ, but for what is their own."""
    was, now = dict(leaves(old)), dict(leaves(new))
    places = sorted(place for place in was.keys() | now.keys() if not OWN.search(place))
    missing = object()
    return [
        f"{place}: {was.get(place)!r} -> {now.get(place)!r}"
        for place in places
        if was.get(place, missing) != now.get(place, missing)
    ]


def tables(program: Path, folder: Path, sources: list[Path]) -> dict[str, bytes]:
    found = {}
    for source, ending in itertools.product(sources, TABLES):
        name = f"{source.name}.{ending}"
        call(program, "predict", source, "--output", name, "--quiet", folder=folder)
        found[name] = (folder / name).read_bytes()
    return found


def trained(program: Path, folder: Path, photos: Path) -> dict[str, Any]:
    call(
        program, "train", f"data.path={photos}", "recipe=probe", "tracking=none", "seed=0", "output=run", folder=folder
    )
    (bundle,) = [path.parent for path in folder.rglob("bundle.json")]
    call(program, "evaluate", bundle, photos, "--output", "evaluation.json", "--quiet", folder=folder)
    return {
        "bundle.json": json.loads((bundle / "bundle.json").read_text(encoding="utf-8")),
        "evaluation.json": json.loads((folder / "evaluation.json").read_text(encoding="utf-8")),
        "model.onnx": (bundle / "model.onnx").read_bytes().hex(),
    }


class Server:
    def __init__(self, program: Path, folder: Path) -> None:
        started = time.monotonic()
        words = [str(program), "serve", "--port", "0", "--no-page"]
        self.process = subprocess.Popen(words, cwd=folder, stdout=-1, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        self.address = ""
        for line in self.process.stdout:
            if (match := re.search(r"http://[^\s\"]*?:(\d+)", line)) and int(match[1]):
                self.address = f"http://127.0.0.1:{match[1]}"
            if self.address and self._ready():
                break
        self.seconds = time.monotonic() - started

    def _ready(self) -> bool:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.address}/readyz"):
                    return True
            except OSError:
                time.sleep(0.01)
        return False

    def ask(self, photo: Path) -> Any:
        request = urllib.request.Request(
            f"{self.address}/v1/predict", photo.read_bytes(), {"Content-Type": "image/jpeg"}, method="POST"
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def answers(program: Path, folder: Path, photos: list[Path]) -> list[Any]:
    server = Server(program, folder)
    try:
        return [server.ask(photo) for photo in photos]
    finally:
        server.stop()


def started(program: Path, folder: Path) -> Cost:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    server = Server(program, folder)
    server.stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(server.seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def in_turns(name: str, measure: Callable[[int], Cost], rounds: int) -> str:
    pairs = [(measure(0), measure(1)) for _ in range(rounds)]
    ratios = {what: [new[i] / old[i] for old, new in pairs] for i, what in enumerate(Cost._fields)}
    words = ", ".join(
        f"{what} {statistics.median(found):.3f} ({min(found):.3f} to {max(found):.3f})"
        for what, found in ratios.items()
    )
    old = statistics.median(one.wall for one, _ in pairs)
    return f"{name:<28} old {old:.2f} s; new to old: {words}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--others", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5, help="of the times; 0: none are taken")
    options = parser.parse_args()
    programs = [options.old.absolute(), options.new.absolute()]
    photos, others = options.photos.resolve(), options.others.resolve()
    some = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[::40]
    wrong: list[str] = []
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / which for which in ("old", "new")]
        for folder in folders:
            folder.mkdir()
        both = list(zip(programs, folders, strict=True))
        old, new = (tables(program, folder, [photos, others]) for program, folder in both)
        wrong += [f"{table}: other bytes" for table in old if old[table] != new[table]]
        models = [trained(program, folder, photos) for program, folder in both]
        wrong += [f"probe: {line[:300]}" for line in differences(*models)]
        said = [answers(program, folder, some) for program, folder in both]
        wrong += [f"serve: {line}" for line in differences(*said)]
        print("\n".join(wrong[:60]) or f"the same: {len(old)} tables, a probe with its evaluation, {len(some)} answers")
        if options.rounds:
            one = some[0]
            work = {
                "predict, one photo": lambda i: call(programs[i], "predict", one, "-q", folder=folders[i]),
                f"predict, {photos.name}": lambda i: call(programs[i], "predict", photos, "-q", folder=folders[i]),
                "serve, until it is ready": lambda i: started(programs[i], folders[i]),
                "--help": lambda i: call(programs[i], "--help", folder=folders[i]),
            }
            for title, measure in work.items():
                print(in_turns(title, measure, options.rounds), flush=True)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

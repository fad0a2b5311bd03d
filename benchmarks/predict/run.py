"""The whole benchmark: prepares photos, lets the contestants take turns, measures memory, makes the report."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.predict import contestants, machine, photos, report
from benchmarks.predict.contestants import BF16, FLOOR, OURS, OURS_OPENVINO, TUNED, UNTUNED, Contestant
from benchmarks.predict.processes import CHECKOUT, Measured, terminate_like_interrupt
from benchmarks.predict.tuning import Tuned, default_python, tune, why_no_torch

SAMPLE = 300  # photos that settings for torch are finally chosen on
FEW = 96  # photos that settings for torch are searched on
# Who is compared stands side by side: a machine in the cloud changes its speed within minutes.
TURNS = (FLOOR, OURS, TUNED, UNTUNED, OURS_OPENVINO, BF16)
PEER_TITLES = {UNTUNED: "PyTorch loop", TUNED: "PyTorch loop, tuned"}


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        folder: Where the photos are.
        photos: How many to classify; the folder's again and again.
        repeat: How often each contestant runs.
        torch_python: The interpreter for the PyTorch loop; ``.venv-bench`` or this one by default.
        memory: How many photos to measure peak memory on, each in turn.
    """

    folder: Path
    photos: int = 1000
    repeat: int = 3
    torch_python: Path | None = None
    memory: tuple[int, ...] = (10_000, 20_000)


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything; ``say`` takes lines of progress.

    Raises:
        UsageError: No photos in the folder.
        AnimalsError: A contestant failed.
    """
    source = photos.list_photos(options.folder)
    # SIGTERM leaves as Ctrl-C does; either way the temporary folder goes.
    with terminate_like_interrupt(), tempfile.TemporaryDirectory(prefix="animals-bench-") as temporary:
        return _Bench(options, source, Path(temporary), say).run()


class _Bench:
    def __init__(self, options: Options, source: Sequence[Path], work: Path, say: Callable[[str], None]) -> None:
        self.options = options
        self.source = source
        self.work = work
        self.say = say
        self.versions = machine.versions()

    def run(self) -> dict[str, Any]:
        options = self.options
        folder = photos.fill(self.work / "photos", self.source, options.photos)
        megabytes = photos.read_all(sorted(folder.iterdir())) / 1e6
        runners, missing, tuned = self._contestants()
        measured = self._take_turns(runners, folder)
        rows = [report.row(each, measured[each.key], options.photos) for each in runners] + missing
        agreement = self._agreement(runners)
        memory = [self._memory(count) for count in options.memory]
        return {
            "benchmark": "predict",
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "machine": machine.describe(),
            "versions": self.versions,
            "photos": options.photos,
            "distinct": len(set(self.source[: options.photos])),
            "megabytes": megabytes,
            "repeat": options.repeat,
            "rows": rows,
            "memory": memory,
            "promises": report.promises(rows, memory),
            "agreement": agreement,
            "tuning": tuned and {"trials": tuned.trials, "allocators": tuned.allocators, **tuned.settings},
            "warnings": report.warnings(rows),
        }

    def _contestants(self) -> tuple[list[Contestant], list[dict[str, Any]], Tuned | None]:
        """Who runs, the rows of who cannot, and how torch was tuned."""
        python = self.options.torch_python or default_python(CHECKOUT)
        mine = [contestants.ours(), contestants.ours_openvino()]
        if reason := why_no_torch(python):
            missing = [{"key": key, "title": title, "settings": reason} for key, title in PEER_TITLES.items()]
            return [*mine, contestants.floor()], missing, None
        sample = photos.fill(self.work / "sample", self.source, SAMPLE)
        tuned = tune(python, sample, FEW, self.work, self.say)
        peers = [contestants.torch_untuned(python), tuned.contestant]
        if machine.has_bf16():
            peers.append(contestants.torch_bf16(tuned.contestant, tuned.settings))
        return [*mine, *peers, contestants.floor()], [], tuned

    def _take_turns(self, runners: Sequence[Contestant], folder: Path) -> dict[str, list[Measured]]:
        """A B C A B C …, so that whatever slows the machine for a while slows all of them."""
        measured: dict[str, list[Measured]] = {each.key: [] for each in runners}
        turns = sorted(runners, key=lambda each: TURNS.index(each.key))
        for number in range(self.options.repeat):
            for each in turns:
                result = each.run(folder, self.work)
                measured[each.key].append(result)
                self.versions |= result.report.get("versions", {})
                speed = report.rate(each, result, self.options.photos)
                self.say(f"round {number + 1} of {self.options.repeat}: {each.title}: {speed:.1f} photos/s")
        return measured

    def _memory(self, count: int) -> dict[str, Any]:
        folder = photos.fill(self.work / f"memory-{count}", self.source, count)
        result = contestants.ours().run(folder, self.work)
        self.say(f"memory: {result.peak_mb:.0f} MB at most on {count:,} photos")
        return {"photos": count, "peak_mb": result.peak_mb, "photos_per_second": count / result.report["seconds"]}

    def _agreement(self, runners: Sequence[Contestant]) -> dict[str, float]:
        """How often each float32 contestant's first answer is that of our usual engine."""
        tables = {each.key: each for each in runners if each.key not in (FLOOR, BF16)}
        labels = {key: _labels(each.output(self.work)) for key, each in tables.items()}
        mine = labels.pop(OURS)
        return {
            tables[key].title: sum(mine.get(path) == label for path, label in theirs.items()) / len(mine)
            for key, theirs in labels.items()
        }


def _labels(table: Path) -> dict[str, str]:
    with table.open(newline="", encoding="utf-8") as stream:
        return {row["path"]: row["label_id"] for row in csv.DictReader(stream)}

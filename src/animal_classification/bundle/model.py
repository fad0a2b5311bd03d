"""A bundle on the local disk: verified first, then an object."""

# Imported where they are used: NumPy, Pillow and onnx take 100 ms to load, and ``bundle.json`` needs none of them.

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.bundle.document import parse_info
from animal_classification.bundle.schema import INFO_FILE, MODEL_FILE, BundleInfo
from animal_classification.common.hashes import hash_file
from animal_classification.errors import BundleError, BundleInvalidError

if TYPE_CHECKING:
    import numpy as np

    from animal_classification.imaging import PreprocessSpec

    Array = np.ndarray[Any, np.dtype[Any]]

CARD_FILE = "README.md"
CONFUSION_FILE = "confusion.json"


@dataclass(frozen=True)
class Bundle:
    """A trained model on disk; made by :func:`load` and :func:`write`, which verify it first.

    Attributes:
        info: The content of ``bundle.json``.
        path: The local directory; for a remote bundle, its place in the cache.
        sha256: Hash of ``bundle.json``, which holds the hashes of all the other files: the bundle's identity.
    """

    info: BundleInfo = field(compare=False, repr=False)
    path: Path
    sha256: str

    @property
    def model_path(self) -> Path:
        """The ONNX graph."""
        return self.path / MODEL_FILE

    def content(self, name: str) -> bytes:
        """The content of a file that ``bundle.json`` lists, checked again: it may have changed since it was verified.

        Raises:
            BundleError: It has, or it is gone.
        """
        try:
            data = (self.path / name).read_bytes()
        except OSError as error:
            raise BundleError(f"{self.path}/{name}: cannot be read any more ({error.strerror})") from error
        check_hash(hashlib.sha256(data).hexdigest(), self.info.files[name], name, str(self.path))
        return data

    @property
    def preprocess_spec(self) -> PreprocessSpec:
        """What ``imaging`` must do to a photo for this model."""
        from animal_classification.imaging import PreprocessSpec

        return PreprocessSpec(**self.info.preprocess.model_dump())

    def card(self) -> str:
        """The model card in Markdown with its front matter; empty where the bundle has none.

        Raises:
            BundleError: The file has changed since, or is gone.
        """
        if CARD_FILE not in self.info.files:
            return ""
        return self.content(CARD_FILE).decode("utf-8", "replace").replace("\r\n", "\n")

    def head(self) -> tuple[Array, Array]:
        """The linear layer that makes ``logits`` from ``embedding``, for class-activation maps.

        Read from the graph at each call (about 20 ms for 10 MB): keep the result.

        Returns:
            ``weight [C, D]`` and ``bias [C]``, both float32.

        Raises:
            BundleError: The graph has changed since, or is gone.
            BundleInvalidError: The model's last layer is not linear.
        """
        from animal_classification.bundle.graph import parse_graph
        from animal_classification.bundle.linear_head import linear_head

        where = str(self.path)
        return linear_head(parse_graph(self.content(MODEL_FILE), where), where)


def verified(directory: Path, where: str | None = None) -> Bundle:
    """The bundle in a local directory, after every check.

    Args:
        directory: Holds ``bundle.json`` and the files that it lists; files that are not listed are left alone.
        where: What to call the bundle in messages; its path unless given.

    Raises:
        BundleError: A check failed; says which file, what is wrong, and what to do.
    """
    where = where or str(directory)
    try:
        data = file_inside(directory, INFO_FILE, where).read_bytes()
        info = parse_info(data, f"{where}/{INFO_FILE}")
        for name, sha256 in info.files.items():
            if name != MODEL_FILE:
                check_hash(hash_file(file_inside(directory, name, where)), sha256, name, where)
        _check_model(directory, info, where)
    except (OSError, RuntimeError) as error:  # the latter for links in a circle, before Python 3.13
        raise BundleError(f"{where}: cannot be read ({error})") from error
    return Bundle(info=info, path=directory, sha256=hashlib.sha256(data).hexdigest())


def check_hash(seen: str, listed: str, name: str, where: str, *, listed_in: str = INFO_FILE) -> None:
    """Refuses a file whose content is not what ``bundle.json``, or another list, says.

    Raises:
        BundleInvalidError: Names the file and both hashes.
    """
    if seen != listed:
        raise BundleInvalidError(
            f"{where}/{name}: its sha256 is {seen[:12]}… and {listed_in} says {listed[:12]}…: "
            "damaged, or changed after it was written; copy or export the bundle again"
        )


def _check_model(directory: Path, info: BundleInfo, where: str) -> None:
    from animal_classification.bundle.graph import check_graph, parse_graph

    if MODEL_FILE not in info.files:
        raise BundleInvalidError(f"{where}/{INFO_FILE}: files: must list {MODEL_FILE}; export the model again")
    data = file_inside(directory, MODEL_FILE, where).read_bytes()  # once, for the hash and for the graph
    check_hash(hashlib.sha256(data).hexdigest(), info.files[MODEL_FILE], MODEL_FILE, where)
    check_graph(parse_graph(data, where), info, where)


def file_inside(directory: Path, name: str, where: str) -> Path:
    """The path of a file of the bundle; a link that leads out of it is refused."""
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise BundleInvalidError(f"{where}/{name}: is a link that leads out of the bundle; put the file itself there")
    if not path.is_file():
        raise BundleInvalidError(f"{where}/{name}: not there, or not a file; copy or export the bundle again")
    return path

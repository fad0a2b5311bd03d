"""All that must hold before a directory is called a bundle."""

from __future__ import annotations

import hashlib
from pathlib import Path

from animal_classification.bundle.document import parse_info
from animal_classification.bundle.model import Bundle
from animal_classification.bundle.schema import INFO_FILE, MODEL_FILE, BundleInfo
from animal_classification.errors import BundleError, BundleInvalidError


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
        data = _inside(directory, INFO_FILE, where).read_bytes()
        info = parse_info(data, f"{where}/{INFO_FILE}")
        for name, sha256 in info.files.items():
            if name != MODEL_FILE:
                check_hash(hash_file(_inside(directory, name, where)), sha256, name, where)
        _check_model(directory, info, where)
    except (OSError, RuntimeError) as error:  # the latter for links in a circle, before Python 3.13
        raise BundleError(f"{where}: cannot be read ({error})") from error
    return Bundle(info=info, path=directory, sha256=hashlib.sha256(data).hexdigest())


def check_hash(seen: str, listed: str, name: str, where: str) -> None:
    """Refuses a file whose content is not what ``bundle.json`` says.

    Raises:
        BundleInvalidError: Names the file and both hashes.
    """
    if seen != listed:
        raise BundleInvalidError(
            f"{where}/{name}: its sha256 is {seen[:12]}… and bundle.json says {listed[:12]}…: "
            "damaged, or changed after it was written; copy or export the bundle again"
        )


def hash_file(path: Path) -> str:
    """The file's sha256 in hexadecimal, without holding the file in memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_model(directory: Path, info: BundleInfo, where: str) -> None:
    # Imports onnx, which costs 50 ms: nobody pays who only imports this room.
    from animal_classification.bundle.graph import check_graph, parse_graph

    if MODEL_FILE not in info.files:
        raise BundleInvalidError(f"{where}/{INFO_FILE}: files: must list {MODEL_FILE}; export the model again")
    data = _inside(directory, MODEL_FILE, where).read_bytes()  # once, for the hash and for the graph
    check_hash(hashlib.sha256(data).hexdigest(), info.files[MODEL_FILE], MODEL_FILE, where)
    check_graph(parse_graph(data, where), info, where)


def _inside(directory: Path, name: str, where: str) -> Path:
    """The path of a file of the bundle; a link that leads out of it is refused."""
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise BundleInvalidError(f"{where}/{name}: is a link that leads out of the bundle; put the file itself there")
    if not path.is_file():
        raise BundleInvalidError(f"{where}/{name}: not there, or not a file; copy or export the bundle again")
    return path

"""A detector on disk: found by its name or folder, verified as a model is, and written."""

# Imported where it is used: onnx takes 60 ms to load, and a list of detectors needs none of it.

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
from pydantic import ValidationError

from animal_classification.bundle.model import check_hash, file_inside
from animal_classification.common import atomic
from animal_classification.common.suggest import nearest
from animal_classification.detection.schema import DETECTOR_FILE, DETECTOR_INFO_FILE, DetectorInfo
from animal_classification.errors import BundleError, BundleInvalidError, BundleNotFoundError, OutputError, UsageError

BUILT_IN = "lite"
CARD_FILE = "README.md"


@dataclass(frozen=True)
class DetectorBundle:
    """A verified detector.

    Attributes:
        info: The content of ``detector.json``.
        path: Its folder.
        sha256: Of ``detector.json``, which holds the hashes of the other files: the detector's identity.
        graph: The content of ``detector.onnx``, as it was verified.
    """

    info: DetectorInfo = field(compare=False, repr=False)
    path: Path
    sha256: str
    graph: bytes = field(compare=False, repr=False)


def own_directory() -> Path:
    """Where detectors are kept that ``animals detectors add`` wrapped (``XDG_DATA_HOME`` on Linux)."""
    return Path(platformdirs.user_data_dir("animals")) / "detectors"


def detector_folders() -> dict[str, Path]:
    """All that a name can stand for: built in, then added. A built-in one is not replaced by an added one."""
    built_in = Path(__file__).parents[1] / "models"
    found: dict[str, Path] = {}
    for directory in (built_in, own_directory()):
        for info in sorted(directory.glob(f"*/{DETECTOR_INFO_FILE}")):
            found.setdefault(info.parent.name, info.parent)
    return found


def load_detector(name: str) -> DetectorBundle:
    """Find a detector by its name or folder, and check everything about it.

    Raises:
        BundleNotFoundError: There is none.
        BundleInvalidError: A hash, the schema or a shape is wrong; says which file, and what to do.
    """
    folders = detector_folders()
    return verified_detector(folders[name] if name in folders else _folder(name, folders))


def verified_detector(folder: Path) -> DetectorBundle:
    """The detector in a folder, after every check.

    Raises:
        BundleError: One failed.
    """
    from animal_classification.bundle.graph import parse_graph
    from animal_classification.detection.graph_check import check_detector_graph

    where = str(folder)
    try:
        data = file_inside(folder, DETECTOR_INFO_FILE, where).read_bytes()
        info = parse_detector_info(data, f"{where}/{DETECTOR_INFO_FILE}")
        if DETECTOR_FILE not in info.files:
            raise BundleInvalidError(f"{where}/{DETECTOR_INFO_FILE}: files: must list {DETECTOR_FILE}; add it again")
        contents = {name: file_inside(folder, name, where).read_bytes() for name in info.files}
    except (OSError, RuntimeError) as error:  # the latter for links in a circle, before Python 3.13
        raise BundleError(f"{where}: cannot be read ({error})") from error
    for name, content in contents.items():
        seen = hashlib.sha256(content).hexdigest()
        check_hash(seen, info.files[name], name, where, listed_in=DETECTOR_INFO_FILE)
    graph = contents[DETECTOR_FILE]
    check_detector_graph(parse_graph(graph, where, DETECTOR_FILE), info, where)
    return DetectorBundle(info=info, path=folder, sha256=hashlib.sha256(data).hexdigest(), graph=graph)


def parse_detector_info(data: bytes, where: str) -> DetectorInfo:
    """Read ``detector.json``.

    Raises:
        BundleInvalidError: It is not as the schema says; names the key.
    """
    try:
        return DetectorInfo.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BundleInvalidError(
            f"{where}: {f'{key}: ' if key else ''}{first['msg']}; add the detector again"
        ) from error


def write_detector(
    folder: Path, info: DetectorInfo, graph: bytes, card: str, *, overwrite: bool = False
) -> DetectorBundle:
    """Write a detector bundle; it appears whole, and verified, or not at all.

    Raises:
        UsageError: The folder is taken.
        BundleInvalidError: The graph is not what ``info`` says.
        OutputError: The system refuses.
    """
    from animal_classification.bundle.graph import parse_graph
    from animal_classification.detection.graph_check import check_detector_graph

    if folder.exists() and not (overwrite and (folder / DETECTOR_INFO_FILE).is_file()):
        raise UsageError(f"{folder}: is there already; give another --name, or --overwrite a detector")
    check_detector_graph(parse_graph(graph, info.name, DETECTOR_FILE), info, info.name)
    contents = {DETECTOR_FILE: graph, CARD_FILE: card.encode()}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    document = info.model_copy(update={"files": files}).model_dump(mode="json")
    contents[DETECTOR_INFO_FILE] = f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic.new_folder(folder, existing="replace" if overwrite else "refuse") as new:
            for name, content in contents.items():
                (new / name).write_bytes(content)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error}); check the free space and the permissions") from error
    return verified_detector(folder)


def _folder(name: str, known: dict[str, Path]) -> Path:
    folder = Path(name)
    if (folder / DETECTOR_INFO_FILE).is_file():
        return folder.absolute()
    if folder.suffix.lower() == ".onnx" and folder.is_file():
        raise BundleNotFoundError(f"{name}: is a bare graph; wrap it first: animals detectors add {name}")
    if folder.is_dir():
        raise BundleNotFoundError(
            f"{name}: holds no {DETECTOR_INFO_FILE}, so it is no detector; see: animals detectors list"
        )
    hint = nearest(name, known) or f" ({', '.join(known) or 'there is none'})"
    raise BundleNotFoundError(f"{name}: no such detector; name a folder, or one of: animals detectors list{hint}")

"""CVAT: ImageNet folders in a zip, and tags in "CVAT for images 1.1" XML.

In an ImageNet zip the folder is the label, and CVAT puts the label before the file's name (``cat/cat_AB….jpg``); the
hash is found all the same.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from animal_classification.data.exchange.imported import ImportedLabel, PhotosBeside, hash_in, label_in
from animal_classification.data.manifest import ManifestRow
from animal_classification.data.recognitions.document import ZippedFolder
from animal_classification.errors import UsageError
from animal_classification.imaging import is_photo_name

ANNOTATIONS, ARCHIVE = "annotations.xml", "imagenet.zip"
MOST_XML = 256 * 1024 * 1024
# What XML 1.0 (2.2) has no way to write.
_NO_XML = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ud800-\\udfff\\ufffe\\uffff]")
_NO_LABEL = "no_label"  # CVAT's folder for images without one


def write(folder: Path, photos: Sequence[tuple[ManifestRow, str]], labels: Sequence[str]) -> None:
    """Write the annotations for a task made of ``photos``, and the same as an ImageNet zip."""
    images = "\n".join(
        f'  <image id="{number}" name={quoteattr(Path(name).name)} width="{row.width}" height="{row.height}">\n'
        f'    <tag label={quoteattr(_plain(row.label))} source="manual"></tag>\n  </image>'
        for number, (row, name) in enumerate(photos)
    )
    names = "".join(f"<label><name>{_text(label)}</name><type>tag</type></label>" for label in labels)
    head = f"  <version>1.1</version>\n  <meta><task><labels>{names}</labels></task></meta>"
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n{head}\n{images}\n</annotations>\n'
    (folder / ANNOTATIONS).write_text(text, encoding="utf-8")
    with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_STORED) as archive:
        for row, name in photos:
            label = _folder_name(row.label)
            archive.write(folder / name, f"{label}/{label}_{Path(name).name}")


def read_xml(data: bytes, where: Path) -> list[ImportedLabel]:
    """The tags in an XML file; images without one are left out.

    Raises:
        UsageError: It is no such XML.
    """
    reading = _TagReader(PhotosBeside(where.parent))
    try:
        reading.parser.Parse(data, True)
    except _DeclaresError as error:
        raise UsageError(
            f"{str(where)!r} declares entities, or a document type; CVAT's annotations do neither"
        ) from error
    except (expat.ExpatError, ValueError, LookupError) as error:  # the others for encodings that nobody knows
        raise UsageError(f"{str(where)!r} is no XML: {error}") from error
    return reading.found


class _DeclaresError(Exception):
    """Where entities are declared, a few bytes stand for gigabytes, or for a file of this machine."""


class _TagReader:
    """Takes images and their first tags as they come; nothing else of the document is kept."""

    def __init__(self, photos: PhotosBeside) -> None:
        self.found: list[ImportedLabel] = []
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._photos = photos
        self._image: str | None = None
        self._label: str | None = None

    def _refuse(self, *_: object) -> None:
        raise _DeclaresError

    def _start(self, name: str, values: dict[str, str]) -> None:
        if name == "image":
            self._image, self._label = values.get("name", ""), None
        elif name == "tag" and self._label is None:
            self._label = label_in(values.get("label"))

    def _end(self, name: str) -> None:
        if name == "image" and self._image is not None:
            sha256 = hash_in(self._image)
            if sha256 is not None and self._label:
                self.found.append(ImportedLabel(sha256=sha256, label=self._label, file=self._photos.find(sha256)))
            self._image = None


def read_zip(where: Path) -> list[ImportedLabel]:
    """The labels in a zip that CVAT exported: XML in it, else its folders.

    Raises:
        UsageError: It is no zip, or there is neither.
    """
    if not zipfile.is_zipfile(where):
        raise UsageError(f"{str(where)!r} is no zip file")
    archive = ZippedFolder(where)
    entries = [PurePosixPath(name) for name in archive.names()]
    tables = [path for path in entries if path.name == ANNOTATIONS]
    if tables:
        return read_xml(archive.read(str(tables[0]), MOST_XML), where)
    photos = PhotosBeside(where.parent)
    found = []
    for path in entries:
        sha256, label = hash_in(path.stem), label_in(path.parent.name)
        if sha256 and is_photo_name(path.name) and label and path.parent.name != _NO_LABEL:
            found.append(ImportedLabel(sha256=sha256, label=label, file=photos.find(sha256)))
    if not found:
        raise UsageError(f"{str(where)!r} holds neither {ANNOTATIONS} nor folders of photos named by their hashes")
    return found


def _text(label: str) -> str:
    return _plain(label).replace("&", "&amp;").replace("<", "&lt;")


def _plain(label: str) -> str:
    return _NO_XML.sub("_", label)


def _folder_name(label: str) -> str:
    """A label as a folder in a zip, which leads nowhere else when somebody unpacks it."""
    name = re.sub(r"[/\\:\x00-\x1f]", "_", label)
    return f"_{name}" if name.strip(". ") == "" else name

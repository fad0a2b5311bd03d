"""CVAT: ImageNet folders in a zip, and tags in "CVAT for images 1.1" XML.

In an ImageNet zip the folder is the label, and CVAT puts the label before the file's name (``cat/cat_AB….jpg``); the
hash is found all the same.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from animal_classification.data.exchange.imported import ImportedLabel, hash_in, photo_beside
from animal_classification.data.manifest import ManifestRow
from animal_classification.errors import UsageError
from animal_classification.imaging import is_photo_name

ANNOTATIONS, ARCHIVE = "annotations.xml", "imagenet.zip"
_MOST_XML = 256 * 1024 * 1024
_DECLARES = re.compile(rb"<!(DOCTYPE|ENTITY)", re.I)
_NO_LABEL = "no_label"  # CVAT's folder for images without one


def write(folder: Path, photos: Sequence[tuple[ManifestRow, str]], labels: Sequence[str]) -> None:
    """Write the annotations for a task made of ``photos``, and the same as an ImageNet zip."""
    images = "\n".join(
        f'  <image id="{number}" name={quoteattr(Path(name).name)} width="{row.width}" height="{row.height}">\n'
        f'    <tag label={quoteattr(row.label)} source="manual"></tag>\n  </image>'
        for number, (row, name) in enumerate(photos)
    )
    names = "".join(f"<label><name>{_text(label)}</name><type>tag</type></label>" for label in labels)
    head = f"  <version>1.1</version>\n  <meta><task><labels>{names}</labels></task></meta>"
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n{head}\n{images}\n</annotations>\n'
    (folder / ANNOTATIONS).write_text(text, encoding="utf-8")
    with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_STORED) as archive:
        for row, name in photos:
            label = re.sub(r"[/\\]", "_", row.label)
            archive.write(folder / name, f"{label}/{label}_{Path(name).name}")


def read_xml(data: bytes, where: Path) -> list[ImportedLabel]:
    """The tags in an XML file; images without one are left out.

    Raises:
        UsageError: It is no such XML.
    """
    if _DECLARES.search(data[:4096]) or len(data) > _MOST_XML:
        raise UsageError(f"{str(where)!r} declares entities, or is too large; CVAT's annotations do neither")
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - without declarations there is nothing to expand
    except ElementTree.ParseError as error:
        raise UsageError(f"{str(where)!r} is no XML: {error}") from error
    found = []
    for image in root.iter("image"):
        sha256, tag = hash_in(image.get("name", "")), image.find("tag")
        if sha256 is not None and tag is not None and tag.get("label"):
            label = str(tag.get("label"))
            found.append(ImportedLabel(sha256=sha256, label=label, file=photo_beside(where.parent, sha256)))
    return found


def read_zip(where: Path) -> list[ImportedLabel]:
    """The labels in a zip that CVAT exported: XML in it, else its folders.

    Raises:
        UsageError: It is no zip, or there is neither.
    """
    try:
        with zipfile.ZipFile(where) as archive:
            entries = archive.namelist()
            tables = [name for name in entries if PurePosixPath(name).name == ANNOTATIONS]
            if tables:
                if archive.getinfo(tables[0]).file_size > _MOST_XML:
                    raise UsageError(f"{str(where)!r}: its {ANNOTATIONS} is too large")
                return read_xml(archive.read(tables[0]), where)
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{str(where)!r} is no zip file: {error}") from error
    found = []
    for name in entries:
        path = PurePosixPath(name)
        sha256 = hash_in(path.stem)
        if sha256 and is_photo_name(path.name) and len(path.parts) > 1 and path.parent.name != _NO_LABEL:
            file = photo_beside(where.parent, sha256)
            found.append(ImportedLabel(sha256=sha256, label=path.parent.name, file=file))
    if not found:
        raise UsageError(f"{str(where)!r} holds neither {ANNOTATIONS} nor folders of photos named by their hashes")
    return found


def _text(label: str) -> str:
    return label.replace("&", "&amp;").replace("<", "&lt;")

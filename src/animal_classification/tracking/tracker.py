"""The interface of all trackers, the names that every recipe uses, and names that every tracker takes.

train/loss  train/accuracy  val/loss  val/accuracy  images_per_second     by step: the number of the epoch, from 1
lr                                                                        the same; not of ``probe``, which has none
test/accuracy  test/answered_right  test/top5  test/recall/<class>        once, at the last step
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

_LONGEST = 240  # MLflow: 250


class Tracker(Protocol):
    """Takes metrics, pictures and files of a run. A tracker that fails warns once, and is then silent."""

    def log_config(self, config: Mapping[str, object]) -> None:
        """The resolved configuration, flat: ``recipe.lr`` to its value."""
        ...

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Numbers by name. The same step may come again after a resume, with the same values."""
        ...

    def log_image(self, name: str, png: bytes, *, step: int) -> None:
        """A picture, such as ``test/confusion`` or ``test/examples``."""
        ...

    def log_bundle(self, bundle: Path) -> None:
        """The finished model."""
        ...

    def close(self, *, failed: bool) -> None:
        """The end of the run, for good or bad."""
        ...


class NoTracker:
    """A tracker that ignores everything."""

    def log_config(self, config: Mapping[str, object]) -> None: ...

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None: ...

    def log_image(self, name: str, png: bytes, *, step: int) -> None: ...

    def log_bundle(self, bundle: Path) -> None: ...

    def close(self, *, failed: bool) -> None: ...


def picture_file(name: str, step: int) -> str:
    """A relative file name for a picture: ``test/examples`` at step 3 is ``test/examples-3.png``."""
    return f"{plain_name(name)}-{step}.png"


def plain_name(name: str) -> str:
    """A metric's name as MLflow takes it: letters, digits, ``_ - . /`` and blanks, and a plain path.

    Another name gets a short hash at its end, so that two classes whose names differ in other characters only stay two.

    >>> plain_name("test/recall/polar bear")
    'test/recall/polar bear'
    >>> plain_name("test/recall/bear (polar)")
    'test/recall/bear _polar_-00b56e'
    """
    plain = re.sub(r"[^\w.\- /]", "_", name)
    plain = "/".join(part if part.strip(".") else "_" for part in plain.split("/"))[:_LONGEST]
    if plain == name and posixpath.normpath(plain) == plain:
        return name
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"

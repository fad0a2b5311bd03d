"""Names that every tracker can take."""

from __future__ import annotations

import hashlib
import posixpath
import re

_LONGEST = 240  # MLflow: 250


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

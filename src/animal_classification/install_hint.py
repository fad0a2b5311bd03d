"""How to install what is missing, in words that work where they are read. Imports nothing of this package."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

DISTRIBUTION = "animals-in-photos"


def pip_install(extra: str = "", *, checkout: Path | None = None) -> str:
    """The command that installs an extra, or the newest version where none is named.

    Quotes are double ones, which every shell understands, that of Windows included.

    >>> pip_install("heic", checkout=Path.cwd())
    'pip install ".[heic]"'

    Args:
        extra: The extra's name.
        checkout: The folder that this package was installed from; looked up by default.
    """
    extras = f"[{extra}]" if extra else ""
    source = _source_folder() if checkout is None else checkout
    if source is None:
        return f'pip install {"" if extra else "--upgrade "}"{DISTRIBUTION}{extras}"'
    place = "." if source == Path.cwd() else str(source)
    return f'pip install "{place}{extras}"'


def _source_folder() -> Path | None:
    """The checkout that was installed, by what the installer noted (PEP 610); ``None`` for a package from an index."""
    try:
        noted = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    parsed = urlparse(json.loads(noted).get("url", "") if noted else "")
    if parsed.scheme != "file":
        return None
    folder = Path(url2pathname(parsed.path))
    return folder if (folder / "pyproject.toml").is_file() else None

"""What files are that lie beside photos, by how their names end, for people who wonder what was not looked at."""

from __future__ import annotations

from pathlib import PurePath

# fmt: off
_ENDINGS = {
    "video": {
        "mp4", "mov", "avi", "mkv", "m4v", "mpg", "mpeg", "wmv", "webm", "3gp", "mts", "m2ts", "ts", "flv", "asf",
        "tls",
    },
    "raw photo": {"cr2", "cr3", "nef", "nrw", "arw", "dng", "orf", "rw2", "raf", "pef", "srw"},
    "sound": {"wav", "mp3", "flac", "m4a", "ogg", "aac"},
    "archive": {"zip", "7z", "rar", "tar", "gz", "tgz", "bz2", "xz"},
    "table": {"csv", "tsv", "xlsx", "xls", "ods", "json", "jsonl", "parquet"},
    "document": {"pdf", "doc", "docx", "odt", "txt", "md", "html", "rtf"},
}
# fmt: on
_KINDS = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings}


def kind_of(name: str) -> str:
    """``video``, ``raw photo``, ``sound``, ``archive``, ``table``, ``document`` or ``other file``.

    >>> kind_of("card 3/IMG_0007.MP4"), kind_of("Thumbs.db")
    ('video', 'other file')
    """
    return _KINDS.get(PurePath(name).suffix.lower().removeprefix("."), "other file")

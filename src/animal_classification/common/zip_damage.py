"""What a zip file that somebody else made can raise when it is read."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib

# Damaged, cut short, protected by a password, packed in an unknown way, or with names that are no text.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)

"""What cameras write into fixed fields, as text that a table can hold."""

from __future__ import annotations

MAX_CHARACTERS = 200


def plain_text(data: bytes, encoding: str = "utf-8") -> str:
    r"""Text up to its first NUL, without blanks around it and without control characters.

    Bytes that are not of that encoding are read as Latin-1.

    >>> plain_text(b"HYPERFIRE 2 COVERT\0\0\0"), plain_text(b"    \0"), plain_text(b"C\x007\0\0\0", "utf-16-le")
    ('HYPERFIRE 2 COVERT', '', 'C7')
    """
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    text = text.partition("\0")[0][: 2 * MAX_CHARACTERS]
    return "".join(character if character.isprintable() else " " for character in text).strip()[:MAX_CHARACTERS]

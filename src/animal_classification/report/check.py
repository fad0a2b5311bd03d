"""Whether a report says what is measured: everything in it is compared with the same report of a new measurement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from math import isclose

from animal_classification.report.numbers import Sentence, Shown
from animal_classification.report.page_reader import Piece, pieces_of

NUMBER = r"[-+]?[0-9][0-9,]*(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?%?"
# The last digit that is shown may be rounded either way where the measured number lies just between two.
_ROUNDED = 0.502
# Plots are compared to a fraction of a pixel, which no eye sees.
_DRAWN = 0.15
_LONGEST = 90
# In a line of Markdown: a number, a tag, or a picture, which may show one.
_SAYS_SOMETHING = re.compile(r"\d|(?<!\\)<[A-Za-z/!?]|!\[")
# Of numbers in JSON, which are rounded to six digits.
_NEARLY = 2e-6


def differences_in_page(claimed: str, measured: str, numbers: Mapping[str, Shown]) -> list[str]:
    """A line for each difference between a page and what it should be.

    Args:
        claimed: The page.
        measured: The page of a new measurement, whose pictures do not matter.
        numbers: All numbers of the new measurement, by key.
    """
    said, true = pieces_of(claimed), pieces_of(measured)
    matcher = SequenceMatcher(None, [one.shape for one in said], [one.shape for one in true], autojunk=False)
    found: list[str] = []
    for what, start, end, other_start, other_end in matcher.get_opcodes():
        if what == "equal":
            for mine, theirs in zip(said[start:end], true[other_start:other_end], strict=True):
                found += _difference(mine, theirs, numbers)
        else:
            found += _other_pieces(said[start:end], true[other_start:other_end])
    return list(dict.fromkeys(found))


def differences_in_text(claimed: str, measured: Sequence[Sentence]) -> list[str]:
    """A line for each difference between Markdown and what it should be.

    Lines are matched by their words. Sections that a new measurement would not write are somebody's own
    (:func:`own_sections`) and are left alone, as are lines without a number, a tag or a picture.
    """
    expected = [(one, _blanked(str(one))) for one in measured if str(one).strip()]
    own = {blank for one, blank in expected if str(one).startswith("#")}
    lines = [(n, line) for n, line in _of_our_sections(claimed, own) if line.strip()]
    blanks = [_blanked(line) for _, line in lines]
    matcher = SequenceMatcher(None, blanks, [blank for _, blank in expected], autojunk=False)
    found: list[str] = []
    for what, start, end, other_start, other_end in matcher.get_opcodes():
        if what == "equal":
            for (number, line), (sentence, _) in zip(lines[start:end], expected[other_start:other_end], strict=True):
                found += _line_difference(number, line, sentence)
            continue
        said, true = lines[start:end], [one for one, _ in expected[other_start:other_end]]
        for mine, theirs in zip_longest(said, true):
            claims = mine is not None and _SAYS_SOMETHING.search(mine[1])
            due = theirs is not None and any(isinstance(part, Shown) for part in theirs.parts)
            if claims or due:
                where = f"line {mine[0]}" if mine else "missing"
                found.append(f"{where}: the card says {_quoted(mine and mine[1])}, measured {_quoted(theirs)}")
    return found


def own_sections(claimed: str, measured: Sequence[Sentence]) -> list[str]:
    """Headings of the sections that somebody added to Markdown: nothing in them is checked."""
    own = {_blanked(str(one)) for one in measured if str(one).startswith("#")}
    return [line for line in claimed.splitlines() if line.startswith("#") and _blanked(line) not in own]


def differences_in_json(claimed: object, measured: object, where: str = "") -> Iterator[str]:
    """A line for each value of an evaluation's JSON that differs; numbers may differ in the sixth digit."""
    if isinstance(claimed, dict) and isinstance(measured, dict):
        for name in claimed.keys() | measured.keys():
            inside = f"{where}.{name}" if where else str(name)
            yield from differences_in_json(claimed.get(name), measured.get(name), inside)
    elif isinstance(claimed, list) and isinstance(measured, list) and len(claimed) == len(measured):
        for place, (one, other) in enumerate(zip(claimed, measured, strict=True)):
            yield from differences_in_json(one, other, f"{where}.{place}")
    elif not _alike(claimed, measured):
        yield f"{where}: it says {_quoted(claimed)}, measured {_quoted(measured)}"


def _alike(claimed: object, measured: object) -> bool:
    if isinstance(claimed, float) and isinstance(measured, float):
        return isclose(claimed, measured, rel_tol=1e-5, abs_tol=_NEARLY)
    return claimed == measured


def agrees(text: str, shown: Shown) -> bool:
    """Whether a number that somebody reads is the measured one, as exactly as it is written."""
    if text == shown.text:
        return True
    plain = text.removesuffix("%").replace(",", "").lstrip("+")
    if text.endswith("%") != shown.text.endswith("%") or not re.fullmatch(NUMBER, text):
        return False
    mantissa, _, power = plain.partition("e")
    digits = len(mantissa.partition(".")[2])
    if digits < len(shown.text.removesuffix("%").partition("e")[0].partition(".")[2]):
        return False  # fewer digits than the report shows is not what the report shows
    unit = 10.0 ** (int(power or 0) - digits)
    whole = float(shown.value).is_integer() and digits == 0
    return abs(float(plain) - shown.value) <= (0 if whole else _ROUNDED * unit)


def _difference(mine: Piece, theirs: Piece, numbers: Mapping[str, Shown]) -> Iterator[str]:
    if mine.kind == "number":
        if not agrees(mine.text, numbers[mine.name]):
            yield f"{mine.name}: the report says {_quoted(mine.text)}, measured {numbers[mine.name].text}"
    elif mine.attributes != theirs.attributes:
        for (name, said), (_, true) in zip(mine.attributes, theirs.attributes, strict=True):
            if not _drawn_alike(said, true):
                yield f"<{mine.name}> {name}: the report has {_quoted(said)}, measured {_quoted(true)}"


def _other_pieces(said: Sequence[Piece], true: Sequence[Piece]) -> Iterator[str]:
    """What stands in the one and not in the other; a whole part that is missing is one line."""
    mine, theirs = _words(said), _words(true)
    if mine == theirs:
        yield f"the page is built otherwise near {_quoted(mine)}" if mine else "the page is built otherwise"
    else:
        mine, theirs = _apart(mine, theirs)
        yield f"the report says {_quoted(mine)}, measured {_quoted(theirs)}"


def _apart(first: str, second: str) -> tuple[str, str]:
    """Two long texts from shortly before where they part."""
    if max(len(first), len(second)) <= _LONGEST:
        return first, second
    pairs = zip(first, second, strict=False)
    apart = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))
    start = max(apart - _LONGEST // 3, 0)
    return first[start:], second[start:]


def _words(pieces: Sequence[Piece]) -> str:
    return " ".join(one.text for one in pieces if one.text)


def _drawn_alike(said: str, true: str) -> bool:
    """The same but for numbers that differ by less than can be seen."""
    if said == true:
        return True
    if re.sub(NUMBER, "#", said) != re.sub(NUMBER, "#", true):
        return False
    pairs = zip(re.findall(NUMBER, said), re.findall(NUMBER, true), strict=True)
    return all(abs(_plain(one) - _plain(other)) <= _DRAWN for one, other in pairs)


def _plain(text: str) -> float:
    return float(text.rstrip("%").replace(",", ""))


def _line_difference(number: int, line: str, sentence: Sentence) -> Iterator[str]:
    if line == str(sentence):
        return
    pattern = "".join(f"({NUMBER})" if isinstance(part, Shown) else re.escape(part) for part in sentence.parts)
    match = re.fullmatch(pattern, line)
    if match is None:
        yield f"line {number}: the card says {_quoted(line)}, measured {_quoted(sentence)}"
        return
    shown = [part for part in sentence.parts if isinstance(part, Shown)]
    for text, one in zip(match.groups(), shown, strict=True):
        if not agrees(text, one):
            yield f"line {number}, {one.key}: the card says {text}, measured {one.text}"


def _of_our_sections(text: str, own: set[str]) -> Iterator[tuple[int, str]]:
    inside = True
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            inside = _blanked(line) in own
        if inside:
            yield number, line


def _blanked(line: str) -> str:
    return re.sub(NUMBER, "0", line)


def _quoted(text: object) -> str:
    if text is None or text == "":
        return "nothing"
    words = str(text)
    return repr(words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…")

"""What differs between a report and what was measured: a line for each difference, of JSON, pages and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from html import unescape
from itertools import zip_longest
from math import isclose

from animal_classification.report.pictures import NO_PICTURE, alike, decoded

_LONGEST = 90
_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?%?")
# In a line of Markdown: a number, a tag, or a picture, which may show one.
_SAYS_SOMETHING = re.compile(r"\d|(?<!\\)<[A-Za-z/!?]|!\[")
_PICTURE = re.compile(r'(?<=<img src=")data:image/jpeg;base64,[^"]*(?=")')
_IMAGE = re.compile(r'<img src="([^"]*)" alt="([^"]*)">')
_HEADING = re.compile(r"<h2>(.*?)</h2>")
_TAG = re.compile(r"<[^>]*>")
# What engines and numbers of threads change. A report shows four decimals at most.
_SAME = 1e-5


def differences_in_json(claimed: object, measured: object, where: str = "") -> Iterator[str]:
    """A line for each value of an evaluation's JSON that differs; numbers may differ by what engines round."""
    if isinstance(claimed, dict) and isinstance(measured, dict):
        for name in dict.fromkeys([*measured, *claimed]):
            inside = f"{where}.{name}" if where else str(name)
            yield from differences_in_json(claimed.get(name), measured.get(name), inside)
    elif isinstance(claimed, list) and isinstance(measured, list) and len(claimed) == len(measured):
        for place, (one, other) in enumerate(zip(claimed, measured, strict=True)):
            yield from differences_in_json(one, other, f"{where}.{place}")
    elif not _equal(claimed, measured, where):
        yield f"{where}: it says {_quoted(claimed)}, measured {_quoted(measured)}"


def differences_in_page(claimed: str, rendered: str) -> list[str]:
    """A line for each place in which a page differs from what its own data render to.

    Args:
        claimed: The page. Which photos its pictures show does not matter here, only that they are JPEG.
        rendered: The same data as a page with a grey square for each picture.
    """
    mine = _lines(_PICTURE.sub(lambda picture: NO_PICTURE if decoded(picture[0]) else picture[0], claimed))
    theirs = _lines(rendered)
    found: list[str] = []
    for tag, start, end, other_start, other_end in SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        heading = _HEADING.findall("\n".join(theirs[: other_start + 1]))
        where = unescape(heading[-1]) if heading else "top of the page"
        said, true = mine[start:end], theirs[other_start:other_end]
        if len(said) != len(true):  # what is missing, or too much, is one difference
            said, true = ["\n".join(said)], ["\n".join(true)]
        found += [f"{where}: {_difference(*pair)}" for pair in zip(said, true, strict=True)]
    return found


def differences_in_pictures(claimed: str, measured: str) -> list[str]:
    """A line for each picture of a page that shows something else than the photo that was measured.

    Args:
        claimed: The page.
        measured: The page of a new measurement, with its pictures. Where one of the two has none, nothing is said.
    """
    said, true = _IMAGE.findall(claimed), _IMAGE.findall(measured)
    if len(said) != len(true):
        return [f"the page has {len(said)} pictures, measured {len(true)}"]
    found = []
    for number, ((address, name), (other_address, _)) in enumerate(zip(said, true, strict=True), 1):
        mine, theirs = decoded(address), decoded(other_address)
        if mine is not None and theirs is not None and not alike(mine, theirs):
            found.append(f"picture {number} ({unescape(name)}) shows something else than the photo that was measured")
    return found


def differences_in_card(claimed: str, measured: str) -> list[str]:
    """A line for each difference between a model card and what it should be.

    Lines are matched by their words. Sections that a new measurement would not write are somebody's own
    (:func:`own_sections`) and are left alone, as are lines without a number, a tag or a picture.
    """
    expected = [line for line in measured.splitlines() if line.strip()]
    lines = [(number, line) for number, line in _of_our_sections(claimed, measured) if line.strip()]
    blanks = [_blanked(line) for _, line in lines]
    matcher = SequenceMatcher(None, blanks, [_blanked(line) for line in expected], autojunk=False)
    found = []
    for _, start, end, other_start, other_end in matcher.get_opcodes():
        for mine, true in zip_longest(lines[start:end], expected[other_start:other_end]):
            number, said = mine or (None, None)
            if said != true and any(_SAYS_SOMETHING.search(line or "") for line in (said, true)):
                where = f"line {number}" if number else "missing"
                found.append(f"{where}: {_words_differ('the card', said or '', true or '')}")
    return found


def own_sections(claimed: str, measured: str) -> list[str]:
    """Headings of the sections that somebody added to a card: nothing in them is checked."""
    ours = _headings(measured)
    return [line for line in claimed.splitlines() if line.startswith("#") and _blanked(line) not in ours]


def _equal(claimed: object, measured: object, where: str) -> bool:
    if isinstance(claimed, float) and isinstance(measured, float):
        # Of a p-value, the first digits count, however small it is.
        absolute = 0.0 if where.endswith("p_value") else _SAME
        return isclose(claimed, measured, rel_tol=_SAME, abs_tol=absolute)
    return claimed == measured


def _lines(page: str) -> list[str]:
    """Lines of a page, as whoever reads its file gets them."""
    return page.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _difference(said: str, true: str) -> str:
    """How two parts of a page differ: in what is read there, or only in how it is built and drawn."""
    mine, theirs = _visible(said), _visible(true)
    if mine != theirs:
        return _words_differ("the page", mine, theirs)
    said, true = _where_they_part(said, true)
    return f"the page is built otherwise near {_quoted(mine)}: {_quoted(said)} in place of {_quoted(true)}"


def _words_differ(what: str, said: str, true: str) -> str:
    mine, theirs = _where_they_part(said, true)
    return f"{what} says {_quoted(mine)}, measured {_quoted(theirs)}"


def _visible(part: str) -> str:
    return " ".join(unescape(_TAG.sub(" ", part)).split())


def _where_they_part(first: str, second: str) -> tuple[str, str]:
    """Two long texts from shortly before where they part."""
    if max(len(first), len(second)) <= _LONGEST:
        return first, second
    pairs = zip(first, second, strict=False)
    apart = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))
    start = max(apart - _LONGEST // 3, 0)
    return first[start:], second[start:]


def _of_our_sections(claimed: str, measured: str) -> Iterator[tuple[int, str]]:
    """Numbered lines of a card, without the sections that somebody added."""
    ours, inside = _headings(measured), True
    for number, line in enumerate(claimed.splitlines(), 1):
        if line.startswith("#"):
            inside = _blanked(line) in ours
        if inside:
            yield number, line


def _headings(card: str) -> set[str]:
    return {_blanked(line) for line in card.splitlines() if line.startswith("#")}


def _blanked(line: str) -> str:
    return _NUMBER.sub("0", line)


def _quoted(text: object) -> str:
    if text is None or text == "":
        return "nothing"
    words = str(text)
    return repr(words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…")

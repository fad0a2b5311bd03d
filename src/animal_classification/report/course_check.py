"""Whether a text answers the questions of a template: with enough words and not too many, and enough images.

The MLOps course 02476 checks its reports so. An answer is what stands between ``Answer:`` and the next
heading of level two or three; its words are what blanks divide, its images are ``![…](…)``. A template says what is
wanted, in either of two ways:

- lines ``question, min words, max words, min images, max images`` under a heading of these names, as a Markdown table
  or divided by commas; an empty place wants nothing;
- the course's own text, whose questions say ``Recommended answer length: 200-300 words + 1 to 3 screenshots.`` or
  ``Insert 1-2 images of …``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from animal_classification.common.text_files import read_text
from animal_classification.errors import UsageError

_COLUMNS = ("question", "min words", "max words", "min images", "max images")
_QUESTION = re.compile(r"^#{2,4}[ \t]*Question[ \t]+(\S+)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_ANSWER = re.compile(r"^[>\s]*Answer:", re.MULTILINE)
_HEADING = re.compile(r"^#{2,3}(?!#)", re.MULTILINE)
_IMAGE = re.compile(r"!\[.*?\]\((.*?)\)", re.DOTALL)
_UNFILLED = re.compile(r"^---\s.*fill here.*\s---$", re.IGNORECASE)
_SPAN = r"(\d+)(?:\s*(?:-|–|to)\s*(\d+))?"
_WORDS = re.compile(rf"answer length:\s*{_SPAN}\s*words", re.IGNORECASE)
_IMAGES = re.compile(rf"{_SPAN}\s*(?:images?|screenshots?|figures?)\b", re.IGNORECASE)
_ONE_IMAGE = re.compile(r"\binclude an? (?:image|screenshot|figure)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """What is wanted of one answer; ``None`` where nothing is."""

    name: str
    min_words: int | None = None
    max_words: int | None = None
    min_images: int | None = None
    max_images: int | None = None


def violations(report: Path, template: Path) -> list[str]:
    """A line for each answer that the template does not accept.

    Raises:
        UsageError: One of the files cannot be read, or the template asks nothing.
    """
    questions, answers = questions_of(read_text(template), str(template)), answers_of(read_text(report))
    found = []
    if len(answers) != len(questions):
        found.append(f"there are {len(answers)} answers and {len(questions)} questions; is every field filled in?")
    named = dict(answers)
    by_name = len(named) == len(answers) and {one.name for one in questions} & named.keys()
    for place, question in enumerate(questions):
        in_turn = answers[place][1] if place < len(answers) else None
        found += _violated(question, named.get(question.name) if by_name else in_turn, report.parent)
    return found


def answers_of(text: str) -> list[tuple[str, str]]:
    """Each answer with the name of its question, or its number where the question has none."""
    found = []
    starts = list(_ANSWER.finditer(text))
    for place, start in enumerate(starts):
        end = starts[place + 1].start() if place + 1 < len(starts) else len(text)
        answer = text[start.end() : end]
        heading = _HEADING.search(answer)
        before = text[starts[place - 1].end() if place else 0 : start.start()]
        names = _QUESTION.findall(before)
        found.append((names[-1] if names else str(place + 1), answer[: heading.start() if heading else None].strip()))
    return found


def questions_of(text: str, where: str) -> list[Question]:
    """What a template asks.

    Raises:
        UsageError: Nothing, or a line of it cannot be understood.
    """
    found = _from_table(text, where) or list(_from_course(text))
    if not found:
        raise UsageError(
            f"{where!r} asks nothing: it needs lines of {', '.join(_COLUMNS)} under these names, or headings "
            "'### Question 1' with a 'Recommended answer length'"
        )
    return found


def _from_table(text: str, where: str) -> list[Question]:
    found: list[Question] = []
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in (line.strip().strip("|").split("|") if "|" in line else line.split(","))]
        if not inside:
            inside = tuple(cell.lower().replace("_", " ") for cell in cells) == _COLUMNS
            continue
        if not line.strip():
            if found:
                break
            continue
        if all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            continue
        if len(cells) != len(_COLUMNS) or not all(re.fullmatch(r"\d*", cell) for cell in cells[1:]):
            raise UsageError(
                f"{where!r}, line {number}: wanted is {', '.join(_COLUMNS)}, with whole numbers or nothing"
            )
        found.append(Question(cells[0], *(int(cell) if cell else None for cell in cells[1:])))
    return found


def _from_course(text: str) -> Iterator[Question]:
    marks = list(_QUESTION.finditer(text))
    for place, mark in enumerate(marks):
        end = marks[place + 1].start() if place + 1 < len(marks) else len(text)
        asked = " ".join(text[mark.end() : end].replace(">", " ").replace("*", " ").split())
        words, images = _WORDS.search(asked), _images_of(asked.partition("Answer:")[0])
        least, most = _span(words) if words else (None, None)
        yield Question(mark[1], least, most, *images)


def _images_of(asked: str) -> tuple[int | None, int | None]:
    match = _IMAGES.search(asked)
    if match:
        return _span(match)
    return (1, None) if _ONE_IMAGE.search(asked) else (None, None)


def _span(match: re.Match[str]) -> tuple[int, int]:
    return int(match[1]), int(match[2] or match[1])


def _violated(question: Question, answer: str | None, folder: Path) -> Iterator[str]:
    name = f"question {question.name}"
    if answer is None or not answer or _UNFILLED.match(answer):
        yield f"{name}: there is no answer"
        return
    images = _IMAGE.findall(answer)
    for what, count, least, most in (
        ("words", len(answer.split()), question.min_words, question.max_words),
        ("images", len(images), question.min_images, question.max_images),
    ):
        if least is not None and count < least:
            yield f"{name}: {count} {what}, and at least {least} are wanted"
        if most is not None and count > most:
            yield f"{name}: {count} {what}, and at most {most} are wanted"
    for image in images:
        if "://" not in image and not (folder / image.split(" ")[0]).is_file():
            yield f"{name}: the image {image} is not there"

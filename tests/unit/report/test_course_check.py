"""Texts that answer questions: what the course's own check says of them, and what a page of them looks like."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("jinja2")

from animal_classification.cli.main import main
from animal_classification.errors import UsageError
from animal_classification.report.course_check import Question, answers_of, questions_of, violations

COURSE = """# Exam template

## Group information

### Question 1
> **Enter the group number**
>
> Answer:

{one}

### Question 2

> **Which images do you have? Insert 1-2 images of them.**
>
> Recommended answer length: 3-5 words.
>
> Example:
> *We have ... .*
>
> Answer:

{two}

## Deployment

> In the following section we are interested in

### Question 3
> **Upload 1 to 3 screenshots that show experiments.**
>
> Recommended answer length: 2-4 words + 1 to 3 screenshots.
> Answer:

{three}
"""
UNFILLED = {name: f"--- question {place} fill here ---" for place, name in enumerate(("one", "two", "three"), 1)}
TABLE = "question, min words, max words, min images, max images\n1, , , ,\n2, 3, 5, ,\n3, 2, 4, 1, 3\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "figures").mkdir()
    Image.new("RGB", (8, 6), (200, 30, 30)).save(tmp_path / "figures/a.png")
    (tmp_path / "template.md").write_text(COURSE.format(**UNFILLED))
    (tmp_path / "table.csv").write_text(TABLE)
    return tmp_path


def report(folder: Path, one: str = "7", two: str = "", three: str = "") -> Path:
    path = folder / "README.md"
    path.write_text(
        COURSE.format(
            one=one,
            two=two or "three words ![a](figures/a.png)",
            three=three or "two ![a](figures/a.png)",
        )
    )
    return path


def test_the_courses_own_text_is_a_template() -> None:
    assert questions_of(COURSE.format(**UNFILLED), "x") == [
        Question("1"),
        Question("2", 3, 5, 1, 2),
        Question("3", 2, 4, 1, 3),
    ]


def test_a_table_is_one_with_commas_or_as_markdown() -> None:
    wanted = [Question("1"), Question("2", 3, 5), Question("3", 2, 4, 1, 3)]
    assert questions_of(TABLE, "x") == wanted
    rows = [f"| {line.replace(',', ' | ')} |" for line in TABLE.splitlines()]
    table = "\n".join(["Words before.", "", rows[0], "|---|--:|---|---|:-:|", *rows[1:], "", "after"])
    assert questions_of(table, "x") == wanted
    with pytest.raises(UsageError, match=r"'x', line 2: wanted is question, min words"):
        questions_of(TABLE.replace("1, , , ,", "1, few, , ,"), "x")
    with pytest.raises(UsageError, match="asks nothing"):
        questions_of("Nothing here.", "x")


def test_an_answer_ends_at_the_next_heading() -> None:
    found = answers_of(COURSE.format(one="7\n#### still mine\n# and this", two="a b\n\nc", three="the end"))
    assert found == [("1", "7\n#### still mine\n# and this"), ("2", "a b\n\nc"), ("3", "the end")]


@pytest.mark.parametrize("template", ["template.md", "table.csv"])
def test_what_is_as_asked_for_passes(folder: Path, template: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert violations(report(folder), folder / template) == []
    assert main(["report", "check", str(folder / "README.md"), "--template", str(folder / template)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        (
            {"two": "only two"},
            ["question 2: 2 words, and at least 3 are wanted", "question 2: 0 images, and at least 1 are wanted"],
        ),
        ({"two": "a b c d e ![a](figures/a.png)"}, ["question 2: 6 words, and at most 5 are wanted"]),
        ({"three": "a b c"}, ["question 3: 0 images, and at least 1 are wanted"]),
        (
            {"three": "![a](figures/a.png)" * 2 + " ![b](figures/a.png) ![c](figures/a.png)"},
            ["question 3: 4 images, and at most 3 are wanted"],
        ),
        ({"three": "a ![a](figures/b.png)"}, ["question 3: the image figures/b.png is not there"]),
        ({"one": "--- question 1 fill here ---"}, ["question 1: there is no answer"]),
    ],
)  # fmt: skip
def test_each_violation_is_a_line(
    folder: Path, answers: dict[str, str], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "check", str(report(folder, **answers)), "--template", str(folder / "template.md")]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == lines
    assert len(said.err.splitlines()) == 1


def test_a_missing_question_is_noticed(folder: Path) -> None:
    path = report(folder)
    path.write_text(path.read_text().partition("## Deployment")[0])
    found = violations(path, folder / "template.md")
    assert found == ["there are 2 answers and 3 questions; is every field filled in?", "question 3: there is no answer"]


def test_the_page_needs_no_other_file(folder: Path) -> None:
    path = report(folder, one="7 <script>alert(1)</script> <!-- a note --> [x](javascript:alert(1))")
    assert main(["report", "html", str(path), "-q"]) == 0
    page = (folder / "README.html").read_text()
    assert "<script>" not in page
    assert 'href="javascript' not in page
    assert "a note" not in page
    assert "<h3>Question 2</h3>" in page
    sources = re.findall(r'<img src="data:image/png;base64,([^"]+)"', page)
    assert [base64.b64decode(one) for one in sources] == [(folder / "figures/a.png").read_bytes()] * 2
    assert not re.search(r'(?:src|href)="(?!data:)', page.partition("</style>")[2])


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        ("figures/b.png", "cannot read the picture 'figures/b.png'"),
        ("../secret.png", "lies outside of the text's folder"),
        ("http://example.org/a.png", "is not a file"),
        ("figures/a.txt", "is not one of"),
    ],
)
def test_a_picture_that_cannot_be_shown_is_one_line(
    folder: Path, picture: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = report(folder, two=f"three words ![a]({picture})")
    assert main(["report", "html", str(path), "-q"]) == 2
    assert reason in capsys.readouterr().err
    assert not (folder / "README.html").exists()

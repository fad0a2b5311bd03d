"""The report of an evaluation: what it shows, and that a number which is changed by hand is found."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")
pytest.importorskip("jinja2")

from animal_classification.bundle import load
from animal_classification.cli.main import main
from animal_classification.evaluation import eval_set
from animal_classification.inference import engine
from animal_classification.report.check import Claims
from animal_classification.report.differences import differences_in_page
from animal_classification.report.gallery import NoPictures
from animal_classification.report.model_card import report_card
from animal_classification.report.page import PageData, render
from animal_classification.report.pictures import NO_PICTURE
from animal_classification.report.report_inputs import Measurement, measure
from animal_classification.report.writer import CARD, NUMBERS, PAGE, write_report
from animal_classification.training.recipes import RECIPES
from tests.support.reported import GREY, HARM, draw

# In what is read on a page: between tags, and neither in the style nor in the data.
READ = re.compile(r"(?s)<style>.*?</style>|<script.*?</script>|<pre>.*?</pre>|<[^>]*>|([^<]+)")
NUMBER = re.compile(r"(?<![\w&#.])\d[\d,]*(?:\.\d+)?%?(?![\w;])")


@pytest.fixture(scope="module")
def page(written: Path) -> str:
    return (written / PAGE).read_text()


def differences(written: Path, name: str, text: str, measurement: Measurement) -> list[str]:
    claims = Claims.read(written / name, load)
    return Claims(claims.path, text, claims.inputs, trained=False).differences(measurement)


def another(number: str) -> str:
    """The same with another last digit."""
    place = max(index for index, one in enumerate(number) if one.isdigit())
    return f"{number[:place]}{(int(number[place]) + 1) % 10}{number[place + 1 :]}"


def test_the_page_needs_nothing_else_and_believes_no_name(page: str) -> None:
    body = page.partition("</style>")[2]
    assert HARM not in page
    assert re.findall("<script[^>]*>", page) == ['<script type="application/json" id="animals-report">']
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page, "no script can run"
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r'(?:src|href)="(?!data:)', body)
    assert not re.search(r"url\(|@import", page)
    assert page.count(NO_PICTURE) == 0, "every photo is at hand"
    assert "cat/&lt;b&gt;0&amp;amp;.png" in page
    assert body.count("<svg") > 10


def test_what_a_stranger_reads_first(page: str) -> None:
    words = " ".join(re.sub(r"<[^>]+>", "", page.partition("<main")[2]).split())
    assert "It names the animal in 90.9% of 22 photos." in words
    assert "It recognises cat (83.3% of 12) least." in words
    assert "Its commonest mistake: cat taken for dog&lt;script&gt;alert(1)&lt;/script&gt;, 2 times." in words
    assert "It calls 100.0% of 5 photos that show none of its animals unknown" in words


def test_a_report_that_nobody_touched_is_true(written: Path, measurement: Measurement) -> None:
    for name in (PAGE, CARD):
        assert differences(written, name, (written / name).read_text(), measurement) == []


def test_every_number_of_the_page_is_checked(page: str, measurement: Measurement) -> None:
    """Each place in which a number is read, in text, tables and plots, changed by hand in its last digit."""
    places = [
        (text.start(1) + number.start(), number[0])
        for text in READ.finditer(page)
        if text[1]
        for number in NUMBER.finditer(text[1])
    ]
    assert len(places) > 200
    data = PageData.found_in(page, "page")
    rendered = render(data, measurement.bundle, NoPictures())
    assert differences_in_page(page, rendered) == []
    for start, number in places:
        changed = f"{page[:start]}{another(number)}{page[start + len(number) :]}"
        found = differences_in_page(changed, rendered)
        assert len(found) == 1, page[start - 40 : start + 20]
        wrong, right = re.escape(another(number)), re.escape(number)
        assert re.search(rf": the page says ['\"].*{wrong}.*['\"], measured ['\"].*{right}", found[0])


def test_data_that_were_changed_are_found_where_the_page_agrees_with_them(
    written: Path, page: str, measurement: Measurement
) -> None:
    """A page that was rendered from data of somebody's own is built as it should be, and untrue."""
    result = measurement.result
    better = result.overall.accuracy.model_copy(update={"value": 0.99})
    overall = result.overall.model_copy(update={"accuracy": better})
    untrue = replace(measurement, result=result.model_copy(update={"overall": overall}))
    write_report(untrue, written.parent / "untrue.html")
    found = differences(written, PAGE, (written.parent / "untrue.html").read_text(), measurement)
    assert found == [f"overall.accuracy.value: it says '0.99', measured '{result.overall.accuracy.value}'"]
    other = page.replace('"accuracy":{"value":0.', '"accuracy":{"value":0.1', 1)
    assert other != page
    assert any("overall.accuracy.value: it says '0.19" in one for one in differences(written, PAGE, other, measurement))


def test_the_page_carries_what_it_shows(written: Path, page: str, measurement: Measurement) -> None:
    """All of the evaluation, but of the photos only those that it shows: it does not grow with their number."""
    data, whole = PageData.found_in(page, "page"), json.loads((written / NUMBERS).read_text())
    own = data.evaluation.model_dump(mode="json")
    assert {name for name in own if own[name] != whole[name]} <= {"photos", "examples"}
    shown = {place for places in whole["examples"].values() for place in (places if isinstance(places, list) else [])}
    assert len(own["photos"]) < len(whole["photos"])
    assert all(whole["photos"][place] in own["photos"] for place in sorted(shown)[:3])
    assert data.known_scores is not None
    assert sum(data.known_scores.known) == measurement.result.data.scored
    assert all(one.path in page.partition("<script")[0] or HARM in one.path or "&" in one.path
               for one in data.evaluation.photos)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@example(name="</script><!--]]>&amp;'\"\\")
@example(name="a\r\nb\u2028\x0b\x00")
def test_a_report_is_true_whatever_things_are_called(name: str, written: Path, measurement: Measurement) -> None:
    """No name ends the block of data, and none is changed on its way into the file and back."""
    result = measurement.result
    called = result.model_copy(
        update={
            "data": result.data.model_copy(update={"source": name}),
            "classes": [one.model_copy(update={"name": name}) for one in result.classes],
            "photos": [row.model_copy(update={"path": name, "truth": name}) for row in result.photos],
        }
    )
    inputs = measurement.inputs.model_copy(update={"source": name, "model": name})
    named = replace(measurement, inputs=inputs, result=called, manifest=None)
    target = written.parent / "named.html"
    target.write_text(render(PageData.of(named), measurement.bundle, NoPictures()))
    target.with_suffix(".md").write_text(report_card(named))
    for path in (target, target.with_suffix(".md")):
        claims = Claims.read(path, load)
        assert claims.inputs == inputs
        assert claims.differences(named) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda page: re.sub(r'(class="filled"[^>]*?)/?>', r'\1 dx="7">', page, count=1), "built otherwise"),
        (lambda page: re.sub(r'(<rect x="0" y="1" width=")[\d.]+("[^>]*"filled")', r"\g<1>12\2", page, count=1),
         'width="12"'),
        (lambda page: page.replace(">75%<", ">76%<", 1), "25% 25% 50% 50% 76%"),
        (lambda page: page.replace("version 1<", "version 2<", 1), "version 2"),
        (lambda page: re.sub(r"<dd>[0-9a-f]{64}", f"<dd>{'0' * 64}", page, count=1), "0000"),
        (lambda page: page.replace("fewer than 20 photos", "fewer than 30 photos", 1), "30 photos"),
        (lambda page: re.sub(r"<h1>\w+", "<h1>Perfect", page), "Perfect"),
        (lambda page: page.replace("</main>", "<p>100% right</p></main>"), "100% right"),
        (lambda page: page.replace("</style>", "h1::before { content: '100%' }</style>"), "100%"),
        (lambda page: re.sub(r">[\d.]+%<", "><i>99.9%</i><", page, count=1), "99.9%"),
        (lambda page: page.replace("<small>95% interval", "<small>99% interval", 1), "99% interval"),
        (lambda page: re.sub(r"(?s)<section><h2>Prediction sets.*?</section>", "", page), "Prediction sets"),
    ],
)  # fmt: skip
def test_whatever_else_is_changed_is_found(
    change: Callable[[str], str], line: str, written: Path, page: str, measurement: Measurement
) -> None:
    changed = change(page)
    assert changed != page
    found = differences(written, PAGE, changed, measurement)
    assert any(line in one for one in found), found


def test_every_number_of_the_card_is_checked(written: Path, measurement: Measurement) -> None:
    text = (written / CARD).read_text()
    body = text[: text.index("<!--")]
    numbers = list(re.finditer(r"(?<![\w.`-])\d[\d,]*(?:\.\d+)?%?(?![\w.`-]*`)", body))
    assert len(numbers) > 40
    for one in numbers:
        changed = f"{text[: one.start()]}{another(one[0])}{text[one.end() :]}"
        found = differences(written, CARD, changed, measurement)
        assert len(found) == 1, f"{one[0]}: {found}"
        assert found[0].startswith("line ")


def test_the_card_can_be_read_by_a_hub(written: Path) -> None:
    text = (written / CARD).read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["pipeline_tag"] == "image-classification"
    result = front["model-index"][0]["results"][0]
    assert [one["type"] for one in result["metrics"]] == ["accuracy", "answered_right", "f1"]
    assert result["metrics"][0]["value"] == pytest.approx(20 / 22, abs=5e-5)
    assert r"dog\<script\>alert" in text
    assert "<script" not in text.replace(r"\<script", "")


def test_what_somebody_adds_to_a_card_is_left_alone(written: Path, measurement: Measurement) -> None:
    text = (written / CARD).read_text()
    added = text.replace("## Limits", "## History\n\nFrom 1,234 photos of 2019.\n\n## Limits")
    added = added.replace("## Use", "A line without numbers.\n\n## Use")
    assert differences(written, CARD, added, measurement) == []


def test_the_commands(measurement: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, photos = str(measurement.inputs.model), measurement.inputs.source
    target = tmp_path / "deep/report"
    assert main(["evaluate", model, photos, "--report", str(target), "-q"]) == 0
    assert sorted(path.name for path in target.iterdir()) == ["evaluation.json", CARD, PAGE]
    assert main(["report", "check", str(target), "-q"]) == 0
    page = target / PAGE
    page.write_text(page.read_text().replace(">90.9%<", ">91.9%<", 1))
    capsys.readouterr()
    assert main(["report", "check", str(target), "-q", "--json"]) == 1
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["differences"] == [
        "report.html: top of the page: the page says '91.9% told right 95% interval "
        "69.2% to 97.8%', measured '90.9% told right 95% interval 69.2% to 97.8%'"
    ]
    assert len(said.err.splitlines()) == 1

    numbers = target / "evaluation.json"
    text = numbers.read_text()
    numbers.write_text(re.sub(r'"f1": 0\.\d+', '"f1": 0.5', text, count=1))
    assert main(["report", "check", str(target), "-q", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["differences"]
    assert len(found) == 2
    assert any(re.fullmatch(r"evaluation.json: \S+f1: it says '0.5', measured '0\.\d+'", line) for line in found)
    numbers.write_text(text)

    moved = tmp_path / "moved"
    Path(photos).rename(moved)
    try:
        assert main(["report", "check", str(target / CARD), "-q"]) == 2
        assert "no such file or folder" in capsys.readouterr().err
        assert main(["report", "check", str(target / CARD), "-q", "--data", str(moved)]) == 0
    finally:
        moved.rename(photos)
    single = tmp_path / "one.html"
    assert main(["report", "html", str(target / "evaluation.json"), "-o", str(single), "-q"]) == 0
    assert not single.with_suffix(".md").exists(), "without the model there is no card"
    assert "alert(1)" in single.read_text()
    words = ["report", "html", str(target / "evaluation.json"), "--model", str(measurement.inputs.compare), "-q"]
    capsys.readouterr()
    assert main(words) == 1
    assert "is about another model" in capsys.readouterr().err


def test_a_page_made_from_an_evaluation_is_as_true_as_one_that_was_measured(
    measurement: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The split that was asked for, the engine, other photos and the model beside it are those of the evaluation."""
    model, other, photos = str(measurement.inputs.model), str(measurement.inputs.compare), measurement.inputs.source
    for number in range(3):
        draw(tmp_path / f"things/{number}.png", GREY, 20 + number)
    said, page = tmp_path / "evaluation.json", tmp_path / "page.html"
    words = ["--unknown", str(tmp_path / "things"), "--compare", other, "--engine", "onnxruntime", "-q"]
    assert main(["evaluate", model, photos, *words, "-o", str(said)]) == 0
    html = ["report", "html", str(said), "-o", str(page), "--model", model, "-q"]
    assert main(html) == 0
    inputs = PageData.found_in(page.read_text(), "the page").inputs
    assert (inputs.split, inputs.engine, inputs.unknown) == ("test", "onnxruntime", (str(tmp_path / "things"),))
    assert inputs.compare == load(other).info.name
    assert main(["report", "check", str(page), "--compare", other, "-q"]) == 0, capsys.readouterr()
    assert main([*html, "--compare", other]) == 0
    assert PageData.found_in(page.read_text(), "the page").inputs.compare == other
    assert page.read_text().count(NO_PICTURE) == 0, "every photo is at hand"
    assert main(["report", "check", str(page), "-q"]) == 0, capsys.readouterr()
    capsys.readouterr()
    assert main([*html, "--compare", model]) == 1
    assert "is about another model" in capsys.readouterr().err
    assert main([*html, "--split", "all"]) == 2
    assert "is about the split 'test', not 'all'" in capsys.readouterr().err
    assert main(["evaluate", model, photos, "-q", "-o", str(said)]) == 0
    assert main([*html, "--compare", other]) == 2
    assert "does not compare two models" in capsys.readouterr().err


def test_a_page_of_an_evaluation_whose_photos_are_gone_has_grey_squares(
    measurement: Measurement, tmp_path: Path
) -> None:
    data = measurement.result.data.model_copy(update={"source": "gone", "others": [str(tmp_path / "gone")]})
    measurement.result.model_copy(update={"data": data}).write(tmp_path / "evaluation.json")
    assert main(["report", "html", str(tmp_path / "evaluation.json"), "-o", str(tmp_path / "page.html"), "-q"]) == 0
    assert NO_PICTURE.partition("%")[0] in (tmp_path / "page.html").read_text()


def test_photos_are_read_and_engines_started_no_oftener_than_needed(
    measurement: Measurement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other photos are hashed once, and the page starts the engine that makes heatmaps and none besides."""
    hashed: list[str] = []
    started: list[tuple[str, ...]] = []
    hash_photo = eval_set._hash

    def hash_noted(file: Path) -> str | None:
        hashed.append(file.name)
        return hash_photo(file)

    monkeypatch.setattr(eval_set, "_hash", hash_noted)
    create = engine.create_engine

    def noted(*words: Any, **options: Any) -> Any:
        started.append(options["outputs"])
        return create(*words, **options)

    monkeypatch.setattr(engine, "create_engine", noted)
    for number in range(2):
        draw(tmp_path / f"things/{number}.png", GREY, 20 + number)
    inputs = measurement.inputs.model_copy(update={"unknown": (str(tmp_path / "things"),), "compare": None})
    write_report(measure(inputs, load, lambda *_: None, tmp_path / "cache"), tmp_path / "report")
    assert sorted(hashed) == ["0.png", "1.png"]
    assert started == [("logits", "embedding"), ("logits", "embedding", "features")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.html", "<p>96%</p>", "does not say how it was made"),
        ("a.md", "<!-- animals-report {} -->", "is damaged (created: Field required)"),
        ("a.txt", "x", "is neither a page"),
        ("none.html", None, "cannot read"),
    ],
)
def test_what_is_no_report_is_one_line(
    name: str, content: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    assert main(["report", "check", str(tmp_path / name)]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.splitlines()) == 1


def test_a_run_is_reported_and_its_own_card_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "probe", "tests.support.colour_recipe")
    for place, name in enumerate(("a", "b", "c")):
        colour = [(255, 0, 0), (0, 255, 0), (0, 0, 255)][place]
        for number in range(12):
            draw(tmp_path / f"colours/{name}/{number}.png", colour, 12 * place + number)
    words = ["data.test=0.4", "data.val=0.2", "tracking=none", f"output={tmp_path}/runs", "--json", "-q"]
    assert main(["train", f"data.path={tmp_path}/colours", *words]) == 0
    trained = json.loads(capsys.readouterr().out)
    card = Path(trained["bundle"]) / "README.md"
    assert main(["report", "check", str(card), "-q"]) == 0, capsys.readouterr()
    assert main(["report", "html", trained["run"], "-o", str(tmp_path / "page.html"), "-q"]) == 0
    assert main(["report", "check", str(tmp_path / "page.html"), "-q"]) == 0
    assert main(["report", "check", str(tmp_path / "page.md"), "-q"]) == 0
    text = card.read_text()
    accuracy = re.search(r"\| accuracy \| (\S+)", text)
    assert accuracy is not None
    card.write_text(text.replace(f"| accuracy | {accuracy[1]}", "| accuracy | 0.123"))
    capsys.readouterr()
    # The bundle notices by itself that one of its files was changed.
    assert main(["report", "check", str(card), "-q"]) == 1
    assert "README.md" in capsys.readouterr().err
    info = json.loads((card.parent / "bundle.json").read_text())
    info["files"]["README.md"] = hashlib.sha256(card.read_bytes()).hexdigest()
    (card.parent / "bundle.json").write_text(json.dumps(info))
    assert main(["report", "check", str(card), "-q"]) == 1
    found = capsys.readouterr().out
    assert "the card says '| accuracy | 0.123 (" in found
    assert f"measured '| accuracy | {accuracy[1]} (" in found


def test_a_page_without_photos_or_rules(measurement: Measurement, tmp_path: Path) -> None:
    """All that a page can lack."""
    bare = measurement.result.model_copy(update={"sets": None, "unknown": None, "slices": [], "comparison": None})
    found = replace(measurement, result=bare, bundle=None, manifest=None)
    write_report(found, tmp_path / "bare.html")
    text = (tmp_path / "bare.html").read_text()
    assert NO_PICTURE.partition("%")[0] in text
    assert "has no rule for unknown photos" in text
    data = PageData.found_in(text, "bare.html")
    assert data.evaluation == PageData.of(found).evaluation
    for heading in ("Where it is weaker", "Beside ", "Photos of something else</h2>\n<p>It calls"):
        assert f"<h2>{heading}" not in text

"""The model card: what a stranger must know before trusting the model. Markdown with Hugging Face's front matter.

There is one writer for the card that training puts into a bundle and for the one beside a report; the second has more
numbers. It needs neither Jinja2 nor scikit-learn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from animal_classification.evaluation.training_provenance import is_calibrated, recipe_name
from animal_classification.install_hint import DISTRIBUTION
from animal_classification.report import summary
from animal_classification.report.export_section import export_lines
from animal_classification.report.model_card_numbers import CardNumbers, of_evaluation, of_scorecard
from animal_classification.report.numbers import NOTHING, Ledger, Sentence, Shown, say
from animal_classification.report.provenance import limits

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.evaluation.scorecard import Scorecard
    from animal_classification.report.report_inputs import Measurement

_COMMIT = 12


def card_lines(
    info: BundleInfo,
    measured: CardNumbers | None,
    numbers: Ledger,
    *,
    use: str,
    beyond: Sequence[Sentence] | None = None,
) -> list[Sentence]:
    """The card, line by line.

    Args:
        info: What the bundle says of itself.
        measured: How good it is; ``None`` where nobody knows.
        numbers: Gets every number.
        use: What the model is called on the command line.
        beyond: What the numbers do not say; the usual where it is not given.
    """
    lines = [*_front_matter(info, measured), NOTHING, say("# {}", info.name), NOTHING]
    count = numbers.count("model.classes", len(info.labels))
    trained = " Made with `animals train`." if recipe_name(info) else ""
    lines += [say("Names {} kinds of animals in photos." + trained, count), NOTHING]
    lines += [*_facts(info, numbers), NOTHING, *_how_good(measured), NOTHING]
    lines += [say("## Limits"), NOTHING, *(say("- {}", one) for one in beyond or _LIMITS), NOTHING]
    lines += [say(line) for line in _NOT_FOR]
    lines += [NOTHING, say("## Use"), NOTHING, say("    animals predict PHOTOS --model {}", json.dumps(use))]
    return lines


def bundle_card(
    info: BundleInfo, tested: Scorecard | None, dataset: str, numbers: Ledger, *, use: str
) -> list[Sentence]:
    """The card that training and exports put into a bundle.

    Args:
        info: What the bundle says of itself.
        tested: How good it is; ``None`` where nobody knows.
        dataset: What the photos are called that it was tested on.
        numbers: Gets every number.
        use: What the model is called on the command line.
    """
    measured = None if tested is None else of_scorecard(tested, dataset, numbers)
    return [*card_lines(info, measured, numbers, use=use), *export_lines(info, numbers)]


def card_of(measurement: Measurement, numbers: Ledger) -> list[Sentence]:
    """The card beside a report, line by line; its last line says how it was made.

    Args:
        measurement: With the bundle.
        numbers: Gets every number.
    """
    bundle, recipe = measurement.bundle, measurement.recipe
    assert bundle is not None
    measured = of_evaluation(measurement.result, numbers)
    use = recipe.model or bundle.info.name
    lines = card_lines(bundle.info, measured, numbers, use=use, beyond=limits(measurement.result, numbers))
    return [*lines, NOTHING, Sentence((recipe.in_text(),))]


def as_text(lines: Sequence[Sentence]) -> str:
    """What is written to the file."""
    return "\n".join(map(str, lines)) + "\n"


_LIMITS = (
    say("It answers with one of its classes whatever the photo shows, and with one animal where there are several."),
    say(
        "The numbers hold for photos like those that it was trained on. Other cameras, places and seasons: "
        "measure again."
    ),
)
_NOT_FOR = (
    "## Not for",
    "",
    "Decisions about the protection, hunting or killing of an animal without a person's check; identification of",
    "dangerous species for safety.",
)


def _front_matter(info: BundleInfo, measured: CardNumbers | None) -> list[Sentence]:
    lines = ["---"]
    if info.license:
        lines.append(f"license: {json.dumps(info.license.lower())}")
    lines += [f"library_name: {DISTRIBUTION}", "pipeline_tag: image-classification", "tags:"]
    lines += [f"  - {tag}" for tag in ("image-classification", "animals", "onnx")]
    found = [Sentence((line,)) for line in lines]
    if measured is not None:
        found += [
            Sentence((line,))
            for line in (
                "model-index:",
                f"  - name: {json.dumps(info.name)}",
                "    results:",
                "      - task:",
                "          type: image-classification",
                "        dataset:",
                f"          name: {json.dumps(measured.dataset)}",
                f"          type: {json.dumps(info.name)}",
                f"          split: {json.dumps(measured.split)}",
                "        metrics:",
            )
        ]
        for name, number in measured.metrics:
            found += [say("          - type: {}", name), say("            value: {}", number)]
    return [*found, Sentence(("---",))]


def _facts(info: BundleInfo, numbers: Ledger) -> list[Sentence]:
    lines = [say("## What it is"), NOTHING]
    if recipe := recipe_name(info):
        lines.append(
            say(
                "- **Recipe**: `{}`, seed {}; the whole configuration is in `bundle.json` under `config`.",
                recipe,
                info.config.get("seed", 0),
            )
        )
    text = say("- **Data**: version `{}`", info.data.version)
    for key, count, words in (
        ("model.n_train", info.data.n_train, "{}; {} photos to learn from"),
        ("model.n_test", info.data.n_test, "{}, {} to test"),
    ):
        if count is not None:
            text = say(words, text, numbers.count(key, count))
    code, preprocess = info.code, info.preprocess
    commit = f", commit `{code.git[:_COMMIT]}`" if code.git else ""
    lines += [
        say("{}.", text),
        say("- **Code**: {} {}{}.", DISTRIBUTION, code.version, commit),
        say("- **Labels**: {}.", ", ".join(escaped(label.name) for label in info.labels)),
        say(
            "- **Input**: {} x {} pixels; {}.",
            numbers.count("model.size", preprocess.size),
            numbers.count("model.size", preprocess.size),
            _calibration(info, numbers),
        ),
    ]
    return lines


def _calibration(info: BundleInfo, numbers: Ledger) -> Sentence:
    if not is_calibrated(info):
        return say("probabilities are not calibrated, because no photo was left for it")
    temperature = numbers.decimal("model.temperature", info.calibration.temperature)
    return say("probabilities are calibrated (temperature {})", temperature)


def _how_good(measured: CardNumbers | None) -> list[Sentence]:
    if measured is None:
        return [say("## How good it is"), NOTHING, say("Nobody knows: there was no test photo.")]
    lines = [say("## How good it is"), NOTHING, say("On {}{}:", summary.photos(measured.photos), measured.apart)]
    lines += [NOTHING, say("| | |"), say("|---|---|")]
    lines += [say("| {} | {} |", name, value) for name, value in measured.rows]
    if measured.verdict:
        lines += [NOTHING, *(say("- **{}**: {}", one.title, _escaped(one.text)) for one in measured.verdict)]
    lines += [
        NOTHING,
        say("The classes that it recognises least:"),
        NOTHING,
        say("| class | recall |"),
        say("|---|---|"),
    ]
    return lines + [say("| {} | {} |", escaped(name), value) for name, value in measured.weakest]


def escaped(text: str) -> str:
    """A label as Markdown text: no character of it may start markup or break the line."""
    line = " ".join(text.split())
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>#|!~&" else character for character in line)


def _escaped(sentence: Sentence) -> Sentence:
    return Sentence(tuple(part if isinstance(part, Shown) else _in_line(part) for part in sentence.parts))


def _in_line(part: str) -> str:
    """The same for a part of a sentence, whose spaces at both ends matter."""
    start, end = part[: len(part) - len(part.lstrip())], part[len(part.rstrip()) :]
    return f"{start and ' '}{escaped(part)}{end and ' '}" if part.strip() else " "

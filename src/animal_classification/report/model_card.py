"""The model card: what a stranger must know before trusting the model. Markdown with Hugging Face's front matter.

There is one writer for the card that training puts into a bundle and for the one beside a report; the second has more
numbers. It needs neither Jinja2 nor scikit-learn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from animal_classification.evaluation.training_provenance import is_calibrated, recipe_name
from animal_classification.install_hint import DISTRIBUTION
from animal_classification.report.export_section import export_lines
from animal_classification.report.numbers import count, decimal, percent, percent_range, photos
from animal_classification.report.provenance import limits
from animal_classification.report.summary import SummaryPoint, summary_points, weakest

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.evaluation.result import Evaluation, Interval
    from animal_classification.evaluation.scorecard import Scorecard
    from animal_classification.report.report_inputs import Measurement

_COMMIT = 12
_WEAKEST = 5
_TOLD = 'told right (the right label, or a right group, and not "unknown")'
_LIMITS = (
    "It answers with one of its classes whatever the photo shows, and with one animal where there are several.",
    "The numbers hold for photos like those that it was trained on. Other cameras, places and seasons: measure again.",
)
_NOT_FOR = (
    "## Not for",
    "",
    "Decisions about the protection, hunting or killing of an animal without a person's check; identification of",
    "dangerous species for safety.",
)


@dataclass(frozen=True, kw_only=True)
class CardNumbers:
    """How good a model is, as its card says it.

    Attributes:
        dataset: What the photos are called.
        split: Which part of them.
        photos: How many.
        apart: What is known of whether training has seen them: comes after ``photos`` in a sentence.
        rows: What is measured, a name and a number with whatever explains it.
        weakest: The classes that it recognises least, and how many of their photos it finds.
        metrics: For the front matter, by the names that Hugging Face gives them.
        verdict: The same in words; empty after a training or an export, which measure less.
    """

    dataset: str
    split: str
    photos: int
    apart: str
    rows: Sequence[tuple[str, str]]
    weakest: Sequence[tuple[str, str]]
    metrics: Sequence[tuple[str, float]]
    verdict: Sequence[SummaryPoint] = ()

    @classmethod
    def of_scorecard(cls, tested: Scorecard, dataset: str) -> CardNumbers:
        """What training and exports measure.

        Args:
            tested: On the photos that were kept apart.
            dataset: What the photos are called.
        """
        recalls = tested.recalls
        worst = sorted(recalls, key=lambda name: (recalls[name], name))[:_WEAKEST]
        return cls(
            dataset=dataset,
            split="test",
            photos=tested.photos,
            apart=_apart(tested.seen),
            rows=[
                (_TOLD, _decimal_interval(tested.answered_right)),
                ("accuracy", _decimal_interval(tested.accuracy)),
                ("mean recall of the classes", _decimal_interval(tested.balanced_accuracy)),
                ("called unknown, wrongly", decimal(tested.called_unknown)),
                ("true class among the first five", decimal(tested.top5)),
                ("loss (nats)", decimal(tested.loss)),
                ("photos independent of each other", count(tested.units)),
            ],
            weakest=[(name, decimal(recalls[name], 2)) for name in worst],
            metrics=[
                ("accuracy", tested.accuracy.value),
                ("answered_right", tested.answered_right.value),
                ("loss", tested.loss),
            ],
        )

    @classmethod
    def of_evaluation(cls, result: Evaluation) -> CardNumbers:
        """What an evaluation measures."""
        overall, data = result.overall, result.data
        return cls(
            dataset=data.source,
            split=data.split,
            photos=data.scored,
            apart=_apart(data.seen if data.seen_known else None),
            rows=_evaluation_rows(result),
            weakest=[(one.name, f"{percent(one.recall)} of {photos(one.n)}") for one in weakest(result)[:_WEAKEST]],
            metrics=[
                ("accuracy", overall.accuracy.value),
                ("answered_right", overall.answered_right.value),
                ("f1", overall.weighted.f1),
            ],
            verdict=summary_points(result),
        )


def bundle_card(info: BundleInfo, tested: Scorecard | None, dataset: str, *, use: str) -> str:
    """The card that training and exports put into a bundle.

    Args:
        info: What the bundle says of itself.
        tested: How good it is; ``None`` where nobody knows.
        dataset: What the photos are called that it was tested on.
        use: What the model is called on the command line.
    """
    measured = None if tested is None else CardNumbers.of_scorecard(tested, dataset)
    return _as_text([*_card_lines(info, measured, use, _LIMITS), *export_lines(info)])


def report_card(measurement: Measurement) -> str:
    """The card beside a report; its last line says how it was made. ``measurement`` comes with the bundle."""
    bundle, inputs = measurement.bundle, measurement.inputs
    assert bundle is not None
    measured = CardNumbers.of_evaluation(measurement.result)
    use = inputs.model or bundle.info.name
    return _as_text([*_card_lines(bundle.info, measured, use, limits(measurement.result)), "", inputs.in_text()])


def escaped(text: str) -> str:
    """A label as Markdown text: no character of it may start markup or break the line."""
    line = " ".join(text.split())
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>#|!~&" else character for character in line)


def _as_text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def _card_lines(info: BundleInfo, measured: CardNumbers | None, use: str, beyond: Sequence[str]) -> list[str]:
    """All but the last section; ``beyond`` is what the numbers do not say."""
    trained = " Made with `animals train`." if recipe_name(info) else ""
    return [
        *_front_matter(info, measured),
        "",
        f"# {info.name}",
        "",
        f"Names {count(len(info.labels))} kinds of animals in photos.{trained}",
        "",
        *_facts(info),
        "",
        *_how_good(measured),
        "",
        "## Limits",
        "",
        *(f"- {one}" for one in beyond),
        "",
        *_NOT_FOR,
        "",
        "## Use",
        "",
        f"    animals predict PHOTOS --model {json.dumps(use)}",
    ]


def _front_matter(info: BundleInfo, measured: CardNumbers | None) -> list[str]:
    lines = ["---"]
    if info.license:
        lines.append(f"license: {json.dumps(info.license.lower())}")
    lines += [f"library_name: {DISTRIBUTION}", "pipeline_tag: image-classification", "tags:"]
    lines += [f"  - {tag}" for tag in ("image-classification", "animals", "onnx")]
    if measured is not None:
        lines += [
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
        ]
        for name, number in measured.metrics:
            lines += [f"          - type: {name}", f"            value: {decimal(number, 4)}"]
    return [*lines, "---"]


def _facts(info: BundleInfo) -> list[str]:
    lines = ["## What it is", ""]
    if recipe := recipe_name(info):
        seed = info.config.get("seed", 0)
        lines.append(
            f"- **Recipe**: `{recipe}`, seed {seed}; the whole configuration is in `bundle.json` under `config`."
        )
    data, code, size = info.data, info.code, count(info.preprocess.size)
    learned = "" if data.n_train is None else f"; {count(data.n_train)} photos to learn from"
    tested = "" if data.n_test is None else f", {count(data.n_test)} to test"
    commit = f", commit `{code.git[:_COMMIT]}`" if code.git else ""
    return [
        *lines,
        f"- **Data**: version `{data.version}`{learned}{tested}.",
        f"- **Code**: {DISTRIBUTION} {code.version}{commit}.",
        f"- **Labels**: {', '.join(escaped(label.name) for label in info.labels)}.",
        f"- **Input**: {size} x {size} pixels; {_calibration(info)}.",
    ]


def _calibration(info: BundleInfo) -> str:
    if not is_calibrated(info):
        return "probabilities are not calibrated, because no photo was left for it"
    return f"probabilities are calibrated (temperature {decimal(info.calibration.temperature)})"


def _how_good(measured: CardNumbers | None) -> list[str]:
    if measured is None:
        return ["## How good it is", "", "Nobody knows: there was no test photo."]
    lines = ["## How good it is", "", f"On {photos(measured.photos)}{measured.apart}:", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in measured.rows]
    if measured.verdict:
        lines += ["", *(f"- **{one.title}**: {escaped(one.text)}" for one in measured.verdict)]
    lines += ["", "The classes that it recognises least:", "", "| class | recall |", "|---|---|"]
    return lines + [f"| {escaped(name)} | {value} |" for name, value in measured.weakest]


def _evaluation_rows(result: Evaluation) -> list[tuple[str, str]]:
    overall, sets, unknown = result.overall, result.sets, result.unknown
    before, after = result.calibration.before, result.calibration.after
    rows = [
        (_TOLD, _percent_interval(overall.answered_right)),
        ("accuracy", _percent_interval(overall.accuracy)),
        ("every class alike (balanced accuracy)", _percent_interval(overall.balanced_accuracy)),
    ]
    rows += [(f"true class among the first {k}", percent(share)) for k, share in overall.top.items() if k > 1]
    weighted = overall.weighted
    rows += [
        (f"{words} (weighted)", decimal(number))
        for words, number in (("precision", weighted.precision), ("recall", weighted.recall), ("F1", weighted.f1))
    ]
    chance = percent(after.ece_by_chance)
    error = f"{percent(after.ece)}; {percent(before.ece)} before calibration, {chance} by chance alone"
    rows.append(("calibration error (ECE)", error))
    if sets is not None:
        wanted = percent(1 - sets.rule.alpha, 0)
        rows.append((f"prediction sets hold the truth ({wanted} wanted)", _percent_interval(sets.coverage)))
    if unknown is not None and unknown.auroc is not None:
        rows.append(("photos of other things (AUROC)", decimal(unknown.auroc)))
    return rows


def _percent_interval(number: Interval) -> str:
    return f"{percent(number.value)} (95% interval {percent_range(number)})"


def _decimal_interval(number: Interval) -> str:
    return f"{decimal(number.value)} (95% interval {decimal(number.low)} to {decimal(number.high)})"


def _apart(seen: int | None) -> str:
    if seen is None:
        return "; whether training has seen them is not known"
    if not seen:
        return " that were kept apart from its training"
    return f", of which training has seen {count(seen)}, or copies of them"

"""Whether a report says what is measured: it is measured again, and compared.

A page carries its data as JSON. These are compared with what is measured again; then the page is rendered from them,
and must have the same bytes. So no number, word, plot or picture in it can be anything else than what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from animal_classification import __version__
from animal_classification.common.text_files import read_text
from animal_classification.errors import UsageError
from animal_classification.evaluation.result import Evaluation
from animal_classification.evaluation.scorecard import Scorecard
from animal_classification.report.differences import (
    differences_in_card,
    differences_in_json,
    differences_in_page,
    differences_in_pictures,
    own_sections,
)
from animal_classification.report.gallery import NoPictures, PhotosAtHand
from animal_classification.report.model_card import bundle_card, report_card
from animal_classification.report.page import PageData, render
from animal_classification.report.report_inputs import Measurement, ReportInputs, inputs_of, measure
from animal_classification.report.writer import CARD, NUMBERS, PAGE, PAGES

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.common.progress import Progress

TEXTS = (".md", ".markdown")
# Of the metrics in bundle.json: engines round, and a loss is a mean of logarithms.
_SAME = 5e-4
# When it was measured, and how long that took, cannot be measured again; changed photos take sixteen times as long.
_NOT_MEASURED = {"created", "seconds", "drift"}
_DRIFT = "how it bears other light, weather and cameras (measure it again: animals evaluate --drift)"


@dataclass(frozen=True)
class Checked:
    """What came of a check.

    Attributes:
        differences: A line for each.
        unchecked: What is in it that nothing was compared with, a line each.
    """

    differences: tuple[str, ...]
    unchecked: tuple[str, ...]


@dataclass(frozen=True)
class Claims:
    """A page or a card that is there, and how to measure what it says.

    Attributes:
        path: Where it is.
        text: Its content.
        inputs: How to measure it.
        trained: It is the card that training put into a bundle.
    """

    path: Path
    text: str
    inputs: ReportInputs
    trained: bool

    @classmethod
    def read(cls, path: Path, load: Callable[[str], Bundle]) -> Claims:
        """Read a report: a page or a model card.

        Raises:
            UsageError: It is not there, or is no report.
        """
        suffix = path.suffix.lower()
        if suffix not in (*PAGES, *TEXTS):
            raise UsageError(f"{str(path)!r} is neither a page (.html) nor Markdown (.md)")
        text = read_text(path)
        if suffix in PAGES:
            return cls(path, text, PageData.found_in(text, str(path)).inputs, trained=False)
        if (path.parent / "bundle.json").is_file():
            return cls(path, text, inputs_of(load(str(path.parent)), str(path.parent)), trained=True)
        return cls(path, text, ReportInputs.found_in(text, str(path)), trained=False)

    @property
    def is_page(self) -> bool:
        """HTML, and not a card."""
        return self.path.suffix.lower() in PAGES

    def differences(self, measurement: Measurement) -> list[str]:
        """A line for each thing that it says and that was not measured, but for what its pictures show."""
        # When it was made and by which version cannot be measured; the report must say what its inputs say.
        known = replace(measurement, inputs=self.inputs)
        found = self._differences_in_page(known) if self.is_page else self._differences_in_card(known)
        if found and self.inputs.program != __version__:
            old, new = self.inputs.program, __version__
            found.insert(0, f"written by version {old} and checked by {new}, whose words and drawings may be others")
        return found

    def picture_differences(self, measurement: Measurement) -> list[str]:
        """A line for each picture of a page that shows another photo than was measured."""
        if not self.is_page:
            return []
        known = replace(measurement, inputs=self.inputs)
        measured = render(PageData.of(known), known.bundle, PhotosAtHand(known))
        return differences_in_pictures(self.text, measured)

    def unchecked(self, measurement: Measurement) -> list[str]:
        """Headings of sections that somebody added to a card, and of what takes too long."""
        if self.is_page:
            return [_DRIFT] if PageData.found_in(self.text, str(self.path)).evaluation.drift else []
        return own_sections(self.text, self._card(replace(measurement, inputs=self.inputs)))

    def _differences_in_page(self, known: Measurement) -> list[str]:
        data, measured = PageData.found_in(self.text, str(self.path)), PageData.of(known)
        # A page of an evaluation alone says nothing of the model's training.
        bundle = known.bundle if data.inputs.model is not None else None
        return [
            *_differences(data.evaluation, measured.evaluation),
            *_differences(data, measured, include={"known_scores"}),
            *differences_in_page(self.text, render(data, bundle, NoPictures())),
        ]

    def _differences_in_card(self, known: Measurement) -> list[str]:
        found = differences_in_card(self.text, self._card(known))
        return [*found, *_differences_in_bundle(known)] if self.trained else found

    def _card(self, known: Measurement) -> str:
        if not self.trained:
            return report_card(known)
        assert known.bundle is not None
        tested = Scorecard.of(known.result)
        return bundle_card(known.bundle.info, tested, known.inputs.source, use=known.bundle.path.name)


def check(
    path: Path, load: Callable[[str], Bundle], progress: Progress, *, changed: Mapping[str, str], cache: Path | None
) -> Checked:
    """Measure again what a report says, and compare.

    Args:
        path: A page, a model card, or a folder with a report in it.
        load: Finds a model by what it is called.
        progress: Told what is being done.
        changed: Where the model and the photos are now, under the names of ``ReportInputs``.
        cache: Folder for what is known about files.

    """
    paths = [path / name for name in (PAGE, CARD) if (path / name).is_file()] if path.is_dir() else [path]
    if not paths:
        raise UsageError(f"{str(path)!r} holds neither {PAGE} nor {CARD}")
    found: list[str] = []
    unchecked: list[str] = []
    measurements: dict[ReportInputs, Measurement] = {}
    for one in paths:
        claims = Claims.read(one, load)
        inputs = claims.inputs.model_copy(update=dict(changed))
        # Reports of one evaluation differ in nothing that is measured.
        if inputs not in measurements:
            measurements[inputs] = measure(inputs, load, progress, cache)
        then = _as_then(measurements[inputs], claims.inputs)
        lines = [*claims.differences(then), *claims.picture_differences(then)]
        unchecked += [f"{one.name}: the section {heading!r}" for heading in claims.unchecked(then)]
        found += [f"{one.name}: {line}" for line in lines] if path.is_dir() else lines
    if (path / NUMBERS).is_file():
        claimed = Evaluation.read(path / NUMBERS)
        found += [f"{NUMBERS}: {line}" for line in _differences(claimed, then.result)]
    return Checked(tuple(found), tuple(unchecked))


def _differences(claimed: BaseModel, measured: BaseModel, **selected: Any) -> list[str]:
    """Those of two results, a line for each value."""
    one, other = (part.model_dump(mode="json", exclude=_NOT_MEASURED, **selected) for part in (claimed, measured))
    return list(differences_in_json(one, other))


def _as_then(measured: Measurement, inputs: ReportInputs) -> Measurement:
    """The photos may lie elsewhere than when the report was made: that is no difference."""
    data = measured.result.data.model_copy(update={"source": inputs.source})
    return replace(measured, result=measured.result.model_copy(update={"data": data}))


def _differences_in_bundle(measurement: Measurement) -> list[str]:
    """What ``bundle.json`` says of how good the model is."""
    bundle = measurement.bundle
    assert bundle is not None
    claims, true = bundle.info.metrics, Scorecard.of(measurement.result).summary()
    return [
        f"bundle.json, {name}: it says {claims[name]}, measured {value:.6f}"
        for name, value in true.items()
        if name in claims and not (isinstance(claims[name], int | float) and abs(claims[name] - value) <= _SAME)
    ]

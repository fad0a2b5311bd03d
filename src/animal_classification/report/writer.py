"""The files of a report, and whether those that are there say what is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification import __version__
from animal_classification.common.text_files import read_text, write_text
from animal_classification.data.sources import SourceOptions
from animal_classification.errors import UsageError
from animal_classification.evaluation.result import Evaluation
from animal_classification.evaluation.scorecard import Scorecard
from animal_classification.evaluation.training_provenance import export_of, measured_on
from animal_classification.report import model_card, page
from animal_classification.report.check import (
    differences_in_json,
    differences_in_page,
    differences_in_text,
    own_sections,
)
from animal_classification.report.image_check import picture_differences
from animal_classification.report.images import NoPictures, PhotosAtHand
from animal_classification.report.numbers import Ledger, Sentence
from animal_classification.report.report_inputs import Measurement, ReportInputs, measure, reading_of

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.common.progress import Progress

PAGE, CARD, NUMBERS = "report.html", "model-card.md", "evaluation.json"
_PAGES = (".html", ".htm")
_TEXTS = (".md", ".markdown")
_AS_TRAINED = SourceOptions()
# Engines round, and a loss is a mean of logarithms.
_SAME = 5e-4


@dataclass(frozen=True)
class Written:
    """Where a report's files are; the card is not written where the bundle is not at hand."""

    page: Path
    model_card: Path | None


def write_report(measurement: Measurement, target: Path) -> Written:
    """Write the page and, beside it, the model card; in a folder, all numbers as JSON as well.

    Args:
        measurement: What to report.
        target: A folder, or the page's own name, which ends in ``.html``.

    Raises:
        OutputError: The system refuses.
        MissingExtraError: Jinja2 is not installed.
    """
    single = target.suffix.lower() in _PAGES
    where = target if single else target / PAGE
    text = page.render(measurement, PhotosAtHand(measurement), Ledger())
    write_text(text, where)
    beside = None
    if measurement.bundle is not None:
        beside = where.with_suffix(".md") if single else target / CARD
        write_text(model_card.as_text(model_card.card_of(measurement, Ledger())), beside)
    if not single:
        measurement.result.write(target / NUMBERS)
    return Written(where, beside)


@dataclass(frozen=True)
class Claims:
    """A report that is there, and how to measure what it says.

    Attributes:
        path: Where it is.
        text: Its content.
        recipe: How it was made.
        trained: It is the card that training put into a bundle.
    """

    path: Path
    text: str
    recipe: ReportInputs
    trained: bool

    @classmethod
    def read(cls, path: Path, load: Callable[[str], Bundle]) -> Claims:
        """Read a report: a page or a model card.

        Raises:
            UsageError: It is not there, or is no report.
        """
        if path.suffix.lower() not in (*_PAGES, *_TEXTS):
            raise UsageError(f"{str(path)!r} is neither a page (.html) nor Markdown (.md)")
        text = read_text(path)
        if (path.parent / "bundle.json").is_file() and path.suffix.lower() in _TEXTS:
            return cls(path, text, recipe_of(load(str(path.parent)), str(path.parent)), trained=True)
        return cls(path, text, ReportInputs.found_in(text, str(path)), trained=False)

    def differences(self, measurement: Measurement) -> list[str]:
        """A line for each thing that it says and that was not measured."""
        # When it was made and by which version cannot be measured; the page must say what its recipe says.
        found = self._found(replace(measurement, recipe=self.recipe))
        if found and self.recipe.program != __version__:
            old, new = self.recipe.program, __version__
            found.insert(0, f"written by version {old} and checked by {new}, whose words and drawings may be others")
        return found

    def picture_differences(self, measurement: Measurement) -> list[str]:
        """A line for each picture of a page that shows another photo than was measured."""
        if not self.is_page:
            return []
        known = replace(measurement, recipe=self.recipe)
        return picture_differences(self.text, page.render(known, PhotosAtHand(known), Ledger()))

    def unchecked(self, measurement: Measurement) -> list[str]:
        """Headings of sections that somebody added to a card."""
        return [] if self.is_page else own_sections(self.text, self._card(measurement))

    @property
    def is_page(self) -> bool:
        """HTML, and not a card."""
        return self.path.suffix.lower() in _PAGES

    def _found(self, known: Measurement) -> list[str]:
        if self.is_page:
            numbers = Ledger()
            return differences_in_page(self.text, page.render(known, NoPictures(), numbers), numbers.numbers)
        found = differences_in_text(self.text, self._card(known))
        return [*found, *_differences_in_bundle(known)] if self.trained else found

    def _card(self, known: Measurement) -> list[Sentence]:
        return _trained_card(known, Ledger()) if self.trained else model_card.card_of(known, Ledger())


@dataclass(frozen=True)
class Checked:
    """What came of a check.

    Attributes:
        differences: A line for each.
        unchecked: What is in it that nothing was compared with, a line each.
    """

    differences: tuple[str, ...]
    unchecked: tuple[str, ...]


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
        recipe = claims.recipe.model_copy(update=dict(changed))
        # Reports of one evaluation differ in nothing that is measured.
        if recipe not in measurements:
            measurements[recipe] = measure(recipe, load, progress, cache)
        then = _as_then(measurements[recipe], claims.recipe)
        lines = [*claims.differences(then), *claims.picture_differences(then)]
        unchecked += [f"{one.name}: the section {heading!r}" for heading in claims.unchecked(then)]
        found += [f"{one.name}: {line}" for line in lines] if path.is_dir() else lines
    if (path / NUMBERS).is_file():
        measured = _as_then(measurements[recipe], claims.recipe).result
        found += [f"{NUMBERS}: {line}" for line in _differences_in_numbers(path / NUMBERS, measured)]
    return Checked(tuple(found), tuple(unchecked))


def _differences_in_numbers(path: Path, measured: Evaluation) -> list[str]:
    """Those of the JSON beside a page; when it was made and how long it took is not measured again."""
    left_out = {"created", "seconds"}
    claimed = Evaluation.read(path).model_dump(mode="json", exclude=left_out)
    return sorted(differences_in_json(claimed, measured.model_dump(mode="json", exclude=left_out)))


def _as_then(measured: Measurement, recipe: ReportInputs) -> Measurement:
    """The photos may lie elsewhere than when the report was made: that is no difference."""
    data = measured.result.data.model_copy(update={"source": recipe.source})
    return replace(measured, result=measured.result.model_copy(update={"data": data}))


def recipe_of(bundle: Bundle, model: str, options: SourceOptions = _AS_TRAINED) -> ReportInputs:
    """How to measure a model on the photos that training kept apart.

    Args:
        bundle: The model.
        model: What it is called.
        options: How the photos are read, where otherwise than in training.

    Raises:
        UsageError: The bundle does not say what it learned from.
    """
    source = measured_on(bundle.info, options)
    split = export_of(bundle.info).get("split", "test")
    return ReportInputs(
        created=bundle.info.created, model=model, source=source.name, split=split, **reading_of(source.options)
    )


def _trained_card(measurement: Measurement, numbers: Ledger) -> list[Sentence]:
    """The card that training, or an export, would write of a bundle with these numbers."""
    bundle = measurement.bundle
    assert bundle is not None
    tested = Scorecard.of(measurement.result)
    return model_card.bundle_card(bundle.info, tested, measurement.recipe.source, numbers, use=bundle.path.name)


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

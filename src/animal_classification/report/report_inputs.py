"""What a report is about, written into it, so that the same can be measured again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from animal_classification import __version__
from animal_classification.common.progress import Progress
from animal_classification.data import read_source
from animal_classification.data.sources import Columns, SourceOptions
from animal_classification.errors import UsageError
from animal_classification.evaluation.eval_set import Others
from animal_classification.evaluation.evaluator import EvaluateOptions, evaluate
from animal_classification.evaluation.result import Evaluation
from animal_classification.evaluation.training_provenance import export_of, measured_on

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.data.manifest import Manifest

_COMMENT = "<!-- animals-report {} -->"
_IN_TEXT = re.compile(_COMMENT.format(r"(\{.*\})"))
_AS_TRAINED = SourceOptions()
_Model = TypeVar("_Model", bound=BaseModel)


def parse_only(model: type[_Model], found: Sequence[str], where: str) -> _Model:
    """Read the one piece of JSON that a report carries.

    Raises:
        UsageError: There is none, or more than one, or it is damaged.
    """
    if len(found) != 1:
        raise UsageError(f"{where!r} does not say how it was made; write it again: animals evaluate --report")
    try:
        return model.model_validate_json(found[0])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where!r}: what it says of how it was made is damaged ({place}: {first['msg']})") from error


def carries_inputs(card: str) -> bool:
    """Whether a text is a model card that was written with a report."""
    return _IN_TEXT.search(card) is not None


class ReportInputs(BaseModel):
    """What to measure, and how.

    Attributes:
        program: Version of this package.
        created: When the photos were looked at.
        model: Which model; ``None`` where nobody said.
        source: Which photos.
        kind: What the source is.
        root: Folder that a table's paths start from.
        columns: Names of a table's columns.
        boxes: A file of another program with boxes, for a source that has only labels.
        blanks: Whether pictures without anything are a class of their own.
        split: Which part of the source.
        unknown: Photos of none of the classes.
        compare: Another model beside it.
        engine: What ran the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    program: str = __version__
    created: datetime
    model: str | None = None
    source: str
    kind: str = "auto"
    root: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    boxes: str | None = None
    blanks: bool = False
    split: str = "test"
    unknown: tuple[str, ...] = ()
    compare: str | None = None
    engine: str = "auto"

    def in_text(self) -> str:
        """As an HTML comment, which Markdown keeps and nobody sees."""
        # Two hyphens or a ">" in a name may not end the comment.
        safe = self.model_dump_json().replace("-", "\\u002d").replace(">", "\\u003e").replace("<", "\\u003c")
        return _COMMENT.format(safe)

    @classmethod
    def found_in(cls, card: str, where: str) -> ReportInputs:
        """The ones that a model card carries.

        Raises:
            UsageError: It carries none.
        """
        return parse_only(cls, _IN_TEXT.findall(card), where)

    def source_options(self, cache: Path | None = None) -> SourceOptions:
        """How the source is read."""
        return SourceOptions(
            kind=self.kind,
            root=None if self.root is None else Path(self.root),
            columns=Columns(**dict(self.columns)),
            cache=cache,
            boxes=None if self.boxes is None else Path(self.boxes),
            blanks=self.blanks,
        )


def reading_of(options: SourceOptions) -> dict[str, Any]:
    """How photos are read, under the names of ``ReportInputs``."""
    root, boxes = (None if place is None else str(place) for place in (options.root, options.boxes))
    columns = tuple((name, value) for name, value in asdict(options.columns).items() if value is not None)
    return {"kind": options.kind, "root": root, "columns": columns, "boxes": boxes, "blanks": options.blanks}


def inputs_of(bundle: Bundle, model: str, options: SourceOptions = _AS_TRAINED) -> ReportInputs:
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


@dataclass(frozen=True)
class Measurement:
    """A model on photos, and the photos themselves.

    Attributes:
        inputs: How to measure the same again.
        result: What was measured.
        bundle: The model; ``None`` where only its evaluation is at hand.
        manifest: The photos; ``None`` where they are not at hand.
        others: Photos of none of the classes, as far as they are at hand.
    """

    inputs: ReportInputs
    result: Evaluation
    bundle: Bundle | None
    manifest: Manifest | None
    others: Others = field(default_factory=Others)


def measure(
    inputs: ReportInputs, load: Callable[[str], Bundle], progress: Progress, cache: Path | None = None
) -> Measurement:
    """Measure a model on photos.

    Args:
        inputs: What to measure.
        load: Finds a model by what it is called.
        progress: Told what is being done.
        cache: Folder for what is known about files.

    Raises:
        UsageError: No model is named, or what is named is not there.
    """
    if inputs.model is None:
        raise UsageError("which model this is about is not known; name it with --model")
    bundle = load(inputs.model)
    other = load(inputs.compare) if inputs.compare else None
    reading = replace(inputs.source_options(cache), progress=progress)
    manifest = read_source(inputs.source, reading)
    unknown = Others.of(inputs.unknown)
    asked = EvaluateOptions(
        split=inputs.split,
        unknown=unknown,
        compare=other,
        engine=inputs.engine,
        cache=cache,
        progress=progress,
    )
    result = evaluate(bundle, manifest, inputs.source, asked)
    return Measurement(inputs, result, bundle, manifest, unknown)

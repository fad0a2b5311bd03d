"""How a report was made, written into it, so that the same can be measured again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from animal_classification import __version__
from animal_classification.common.progress import Progress
from animal_classification.data import read_source
from animal_classification.data.sources import Columns, SourceOptions
from animal_classification.errors import UsageError
from animal_classification.evaluation.eval_set import Others
from animal_classification.evaluation.evaluator import EvaluateOptions, evaluate
from animal_classification.evaluation.result import Evaluation

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.data.manifest import Manifest

_MARK = "animals-report"
_IN_TEXT = re.compile(rf"<!-- {_MARK} (\{{.*\}}) -->")


def is_recipe(comment: str) -> bool:
    """Whether the content of an HTML comment is a recipe, which holds nothing that could end the comment."""
    return re.fullmatch(rf" {_MARK} \{{[^<>]*\}} ", comment) is not None


class ReportInputs(BaseModel):
    """What was measured, as it was asked for.

    Attributes:
        program: Version of this package.
        created: When the photos were looked at.
        model: Which model; ``None`` where nobody said.
        source: Which photos.
        kind: What the source is.
        root: Folder that a table's paths start from.
        columns: Names of a table's columns.
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
    split: str = "test"
    unknown: tuple[str, ...] = ()
    compare: str | None = None
    engine: str = "auto"

    def in_text(self) -> str:
        """As an HTML comment, which Markdown keeps and nobody sees."""
        # Two hyphens or a ">" in a name may not end the comment.
        safe = self.model_dump_json().replace("-", "\\u002d").replace(">", "\\u003e").replace("<", "\\u003c")
        return f"<!-- {_MARK} {safe} -->"

    @classmethod
    def found_in(cls, text: str, where: str) -> ReportInputs:
        """The one that a report carries.

        Raises:
            UsageError: It carries none.
        """
        marks = _IN_TEXT.findall(text)
        if len(marks) != 1:
            raise UsageError(f"{where!r} does not say how it was made; write it again: animals evaluate --report")
        try:
            return cls.model_validate_json(marks[0])
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"{where!r}: what it says of how it was made is damaged ({place}: {first['msg']})"
            ) from error

    def source_options(self, cache: Path | None = None) -> SourceOptions:
        """How the source is read."""
        root = None if self.root is None else Path(self.root)
        return SourceOptions(kind=self.kind, root=root, columns=Columns(**dict(self.columns)), cache=cache)


def reading_of(options: SourceOptions) -> dict[str, Any]:
    """How photos are read, under the names of ``ReportInputs``."""
    root = None if options.root is None else str(options.root)
    columns = tuple((name, value) for name, value in asdict(options.columns).items() if value is not None)
    return {"kind": options.kind, "root": root, "columns": columns}


@dataclass(frozen=True)
class Measurement:
    """A model on photos, and the photos themselves.

    Attributes:
        recipe: How to measure the same again.
        result: What was measured.
        bundle: The model; ``None`` where only its evaluation is at hand.
        manifest: The photos; ``None`` where they are not at hand.
        others: Photos of none of the classes, as far as they are at hand.
    """

    recipe: ReportInputs
    result: Evaluation
    bundle: Bundle | None
    manifest: Manifest | None
    others: Others = field(default_factory=Others)


def measure(
    recipe: ReportInputs, load: Callable[[str], Bundle], progress: Progress, cache: Path | None = None
) -> Measurement:
    """Do what a recipe says.

    Args:
        recipe: What to measure.
        load: Finds a model by what it is called.
        progress: Told what is being done.
        cache: Folder for what is known about files.

    Raises:
        UsageError: The recipe names no model, or what it names is not there.
    """
    if recipe.model is None:
        raise UsageError("which model this is about is not known; name it with --model")
    bundle = load(recipe.model)
    other = load(recipe.compare) if recipe.compare else None
    reading = replace(recipe.source_options(cache), progress=progress)
    manifest = read_source(recipe.source, reading)
    unknown = Others.of(recipe.unknown)
    asked = EvaluateOptions(
        split=recipe.split,
        unknown=unknown,
        compare=other,
        engine=recipe.engine,
        cache=cache,
        progress=progress,
    )
    result = evaluate(bundle, manifest, recipe.source, asked)
    return Measurement(recipe, result, bundle, manifest, unknown)

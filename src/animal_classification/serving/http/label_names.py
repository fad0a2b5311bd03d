"""What a person means by the name of an animal: a label of the model, or a name that the model does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from animal_classification.prediction_log.corrections import NO_ANIMAL
from animal_classification.serving.http.problem_details import ProblemError

if TYPE_CHECKING:
    from animal_classification.bundle.schema import BundleInfo
    from animal_classification.serving.service import ModelService

# What nobody means as the name of an animal.
NOTHING = frozenset({NO_ANIMAL, "not an animal", "none", "unknown", "animal"})


def known_label(service: ModelService, found: dict[str, Any], text: str) -> tuple[str, str] | None:
    """Id and name of the label of that id, or of that name; ``None`` where the model has none.

    First among those that the prediction itself gave, then among its model's; where that one has gone since, among
    those of the model that answers by default.
    """
    info = model_named(service, found["model"]) or service.models.find().current.info
    own = [(identity, name) for name, identity, _ in found["top"]]
    wanted = text.casefold()
    for labels in (own, [(label.id, label.name) for label in info.labels]):
        for identity, name in sorted(labels, key=lambda label: label[0] != text):  # an id wins over a name
            if identity == text or name.casefold() == wanted:
                return identity, name
    return None


def new_name(text: str) -> str:
    """A name for an animal that the model does not know, as it can be the name of a class.

    Raises:
        ProblemError: 422 where it can be none.
    """
    name = " ".join(text.split())
    if not name[:1].isalpha() or not name.isprintable():
        raise ProblemError(422, "the name of an animal begins with a letter", kind="no-such-label")
    if name.casefold() in NOTHING:
        raise ProblemError(422, f"{name!r} is no animal: say it with the verdict `none`", kind="no-such-label")
    return name


def model_named(service: ModelService, name: str) -> BundleInfo | None:
    """What answers and goes by that name, a canary too; ``None`` where nothing does."""
    answering = (model.info for _, slot in service.models for model in slot.answering())
    return next((info for info in answering if info.name == name), None)

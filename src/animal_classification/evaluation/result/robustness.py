"""How a model bears photos that are darker, farther away, blurred and so on."""

from __future__ import annotations

from animal_classification.evaluation.result.scores import Interval, ResultModel


class ChangedPhotos(ResultModel):
    """The same photos under one change; the first of a list is without any.

    Attributes:
        change: Name of the change; ``clean`` for none.
        says: What happened, for people.
        n: Photos.
        accuracy: Share whose most probable label is right.
        ece: Calibration error, bins of equally many photos.
        unknown: Share that is called unknown; ``None`` where the model has no rule.
        set_size: Mean size of the prediction sets; ``None`` where it gives none.
        found: Share of windows in which the monitor finds drift, by the photos of a window; empty where the photos are
            too few. For ``clean`` it is the share of false alarms.
        kind: The kind of drift that it says most often; ``none`` where it mostly finds none.
        estimated: Accuracy as it would be estimated without labels: lowest and highest; ``None`` where nothing was
            judged.
    """

    change: str
    says: str
    n: int
    accuracy: Interval
    ece: float
    unknown: float | None
    set_size: float | None
    found: dict[int, float]
    kind: str
    estimated: tuple[float, float] | None

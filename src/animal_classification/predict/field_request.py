"""What ``animals predict`` is asked about pictures of trail cameras: where to look, and by which rules to decide."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from animal_classification.detection.scene_classifier import When
from animal_classification.errors import UsageError

SmoothName = Literal["burst", "none"]


@dataclass(frozen=True, kw_only=True)
class FieldRules:
    """What decides between a model's answers and the tables; it needs no model, so ``animals convert`` has it, too.

    Fields are options, and messages name them as such; ``None`` stands for the default.

    Attributes:
        threshold: Confidence from which a box counts; the detector's own ``typical`` by default.
        event_gap: The longest pause within an event.
        burst_gap: The longest pause within a burst.
        smooth: Whether the pictures of a burst decide together; ``burst`` by default where boxes were looked for.
        deployments: A sheet with a row for each deployment.
        shift: Corrections of clocks, ``[DEPLOYMENT=]±DURATION``.
        time_from: ``name``: names of any common form count as times.
        species_list: Names of the animals that occur.
        list_lenient: Let lines of it pass that mean nothing to the model.
        country: Three letters, for the geofence.
        region: Two letters.
        geofence: A file in SpeciesNet's format.
    """

    threshold: float | None = None
    event_gap: str | None = None
    burst_gap: str | None = None
    smooth: SmoothName | None = None
    deployments: str | None = None
    shift: tuple[str, ...] = ()
    time_from: Literal["name"] | None = None
    species_list: str | None = None
    list_lenient: bool = False
    country: str | None = None
    region: str | None = None
    geofence: str | None = None

    def check(self) -> None:
        """Find contradictions.

        Raises:
            UsageError: There is one.
        """
        rules = (
            (self.list_lenient and not self.species_list, "--list-lenient is about a list: add --species-list FILE"),
            (bool(self.geofence) and not self.country, "--geofence says what lives where: add --country ISO3"),
            (bool(self.country) and not self.geofence, "--country needs the rules of a file: add --geofence FILE"),
            (bool(self.region) and not self.country, "--region is a part of a country: add --country ISO3"),
        )
        for broken, message in rules:
            if broken:
                raise UsageError(message)


@dataclass(frozen=True, kw_only=True)
class FieldRequest:
    """All of it.

    Attributes:
        detector: A detector's name or folder; ``None`` for none.
        detect: ``unsure``: only where the whole picture gives no sure answer.
        detections: A file of another program with boxes.
        rules: What decides afterwards.
    """

    detector: str | None = None
    detect: When = "always"
    detections: str | None = None
    rules: FieldRules = FieldRules()

    @classmethod
    def of_options(cls, options: dict[str, object]) -> FieldRequest | None:
        """From the options of a command, which are taken out; ``None`` where none of them was given."""
        names = {one.name for one in fields(FieldRules)}
        of_rules = {name: options.pop(name) for name in [*options] if name in names}
        own = {name: options.pop(name) for name in ("detector", "detect", "detections") if name in options}
        if all(value is None or value is False or value == () for value in (*of_rules.values(), *own.values())):
            return None
        if own.get("detector") == "none":
            own["detector"] = None
        given = {name: value for name, value in own.items() if value is not None}
        return cls(**given, rules=FieldRules(**of_rules))  # type: ignore[arg-type]

    def check(self) -> None:
        """Find contradictions.

        Raises:
            UsageError: There is one.
        """
        looks = self.detector is not None or self.detections is not None
        rules = (
            (bool(self.detector and self.detections), "--detector finds boxes, --detections brings them: drop one"),
            (
                self.detect == "unsure" and self.detector is None,
                "--detect unsure saves detector time: add --detector",
            ),
            (self.rules.threshold is not None and not looks, "--threshold is of boxes: add --detector or --detections"),
        )
        for broken, message in rules:
            if broken:
                raise UsageError(message)
        self.rules.check()

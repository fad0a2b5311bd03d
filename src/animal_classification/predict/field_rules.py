"""The rules of a field run, read and checked: files of the user, durations, and the model's labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.field.camera_clock import ClockShifts, TimeRules
from animal_classification.field.deployment import Deployments
from animal_classification.field.deployment_sheet import read_deployments
from animal_classification.field.duration import parse_duration
from animal_classification.field.events import Gaps
from animal_classification.predict.decisions import Decider
from animal_classification.taxonomy import Taxonomy
from animal_classification.taxonomy.geofence import Geofence
from animal_classification.taxonomy.species_list import read_species_list
from animal_classification.taxonomy.taxonomy import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from animal_classification.predict.field_request import FieldRules
    from animal_classification.predict.field_run import FieldRun
    from animal_classification.taxonomy import AllowedLabels


@dataclass(frozen=True)
class ReadRules:
    """What decides, ready for use.

    Attributes:
        decider: For the pictures of a burst.
        gaps: Between bursts and events.
        deployments: Which file belongs where.
        shifts: Of clocks.
        times: Which times count.
        notes: What the user should know, a line each.
    """

    decider: Decider
    gaps: Gaps
    deployments: Deployments
    shifts: ClockShifts
    times: TimeRules
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, rules: FieldRules, run: FieldRun) -> ReadRules:
        """Read what the rules name.

        Raises:
            UsageError: Something of it is wrong, in one line.
        """
        rules.check()
        taxonomy = Taxonomy(run.labels, run.rollup or DEFAULT_THRESHOLD)
        allowed, notes = _allowed(rules, taxonomy)
        usual = Gaps()
        threshold = rules.threshold
        if threshold is None:
            threshold = run.boxes.typical if run.boxes else 0.0
        return cls(
            decider=Decider(
                taxonomy=taxonomy,
                allowed=allowed,
                threshold=threshold,
                smooth=(rules.smooth or ("burst" if run.boxes else "none")) == "burst",
                blank_if_unknown=run.blank_if_unknown,
            ),
            gaps=Gaps(
                burst=usual.burst if rules.burst_gap is None else parse_duration(rules.burst_gap, "--burst-gap"),
                event=usual.event if rules.event_gap is None else parse_duration(rules.event_gap, "--event-gap"),
            ),
            deployments=read_deployments(rules.deployments) if rules.deployments else Deployments(),
            shifts=ClockShifts.parse(rules.shift),
            times=TimeRules(from_names=rules.time_from == "name"),
            notes=notes,
        )


def _allowed(rules: FieldRules, taxonomy: Taxonomy) -> tuple[AllowedLabels | None, tuple[str, ...]]:
    """What a list and a geofence leave, and the lines of the list that mean nothing."""
    allowed: AllowedLabels | None = None
    notes: tuple[str, ...] = ()
    if rules.species_list:
        species = read_species_list(Path(rules.species_list), taxonomy, lenient=rules.list_lenient)
        allowed, notes = species.allowed, species.warnings
    if rules.geofence and rules.country:
        fenced = Geofence.read(Path(rules.geofence)).allowed(taxonomy, rules.country, rules.region)
        allowed = fenced if allowed is None else allowed & fenced
    return allowed, notes

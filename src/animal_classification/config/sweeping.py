"""Hydra's words for several values (``1,2``, ``range(1,9)``, ``tag(log, interval(0.1, 1))``) as ranges and choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


def tried(override: Override) -> str:
    """What ``sweep.space`` takes.

    Raises:
        UsageError: It is a pattern of choices.
    """
    from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, RangeSweep

    sweep = override._value
    if isinstance(sweep, IntervalSweep):
        log = ", log: true" if "log" in sweep.tags else ""
        return f"{{low: {sweep.start}, high: {sweep.end}{log}}}"
    if isinstance(sweep, (ChoiceSweep, RangeSweep)):
        return f"{{values: [{','.join(override.sweep_string_iterator())}]}}"
    raise UsageError(f"{override.input_line} cannot be tried; name the values: {override.key_or_group}=a,b")

"""Hydra's words for several values (``1,2``, ``range(1,9)``, ``tag(log, interval(0.1, 1))``) as ranges and choices."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

_MANY = 10_000


def tried(override: Override) -> str:
    """What ``sweep.space`` takes.

    Raises:
        UsageError: It is a pattern of choices, or more values than anybody can try.
    """
    from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, RangeSweep

    sweep = override._value
    if isinstance(sweep, IntervalSweep):
        log = ", log: true" if "log" in sweep.tags else ""
        return f"{{low: {sweep.start}, high: {sweep.end}{log}}}"
    if isinstance(sweep, (ChoiceSweep, RangeSweep)):
        values = list(islice(override.sweep_string_iterator(), _MANY + 1))
        if len(values) <= _MANY:
            return f"{{values: [{','.join(values)}]}}"
        raise UsageError(f"{override.input_line} is more than {_MANY} values; give an interval(low, high)")
    raise UsageError(f"{override.input_line} cannot be tried; name the values: {override.key_or_group}=a,b")

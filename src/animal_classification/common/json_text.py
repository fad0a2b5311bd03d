"""JSON that somebody else wrote: refused before it takes more memory than there is, whatever it is nested into."""

from __future__ import annotations

import json

from animal_classification.common.reading_budget import ReadingBudget, json_memory


def load_json(data: bytes, where: str, budget: ReadingBudget | None = None) -> object:
    """A JSON document.

    Args:
        data: The text, in any of the encodings of JSON; NaN is let through as a number.
        where: Its name, for messages.
        budget: Of the file that it is a line of; by default it may take all the memory that there is.

    Raises:
        UsageError: It would take more memory than there is.
        ValueError: It is no JSON, is nested too deeply, or has a number of thousands of digits.
    """
    (budget or ReadingBudget(repr(where))).take(json_memory(data))
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error

"""What all parts of a result are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ResultModel(BaseModel):
    """Base of all parts: frozen, and no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Interval(ResultModel):
    """A number and where it would probably lie on other photos of the kind: 95% interval."""

    value: float
    low: float
    high: float

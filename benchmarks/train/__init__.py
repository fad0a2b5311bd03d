"""`animals train` with the recipe probe: how long it takes, and how good it is, beside the same thing done by hand."""

from benchmarks.train import report

__all__ = ["report"]

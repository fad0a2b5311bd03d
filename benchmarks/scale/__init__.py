"""`animals batch`: what several workers lose on this machine, and, simulated, what many would lose."""

from benchmarks.scale import report, sim

__all__ = ["report", "sim"]

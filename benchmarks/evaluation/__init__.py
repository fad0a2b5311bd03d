"""The experiments behind docs/measurements/evaluation.md."""

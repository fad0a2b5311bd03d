"""The experiments behind docs/evaluation.md."""

"""What operators see: logs, metrics, traces, the prediction log."""

"""Where a run's numbers and pictures go: MLflow, Weights & Biases, TensorBoard, CSV, all through one interface."""

"""Where metrics and pictures of a run go: MLflow, Weights & Biases, TensorBoard and CSV behind one interface."""

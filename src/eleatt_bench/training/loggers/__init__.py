"""Where the curves of a run go: TensorBoard, CSV files, MLflow, Weights & Biases."""

"""What TensorBoard shows of a run: curves, settings, pictures of gates and predictions."""

"""What ``import eleatt_bench as eb`` offers besides the layers: training, runs and tables."""

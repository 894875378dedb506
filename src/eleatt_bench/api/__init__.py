"""What ``import eleatt_bench as eb`` gives beside the layers: runs and tables, to go on with."""

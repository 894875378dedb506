"""The engine `slurm`: jobs as arrays of a SLURM cluster, by its own commands alone."""

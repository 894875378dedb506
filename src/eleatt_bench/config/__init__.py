"""What may be said in ``configs/`` and on the command line, and how Hydra composes it."""

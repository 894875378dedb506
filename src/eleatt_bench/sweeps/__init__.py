"""Many runs by one command: grids, the runs that tables lack, and searches for settings."""

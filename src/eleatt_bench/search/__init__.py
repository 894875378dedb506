"""Searching for settings: what may be tried, which trials there are, and how they are run."""

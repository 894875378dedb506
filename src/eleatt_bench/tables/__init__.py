"""A table of the paper as data: rows × columns × seeds → the runs it needs → its cells."""

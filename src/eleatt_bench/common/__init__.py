"""What every room may use and that knows no science: errors, files, processes, kept answers."""

"""Code without science that every room may use: errors, files, processes, caches."""

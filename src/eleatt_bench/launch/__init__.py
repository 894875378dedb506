"""Where jobs run. This room knows command lines, not science."""

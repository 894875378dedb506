"""The unit: its equations, its backends and the layers; torch and the standard library only."""

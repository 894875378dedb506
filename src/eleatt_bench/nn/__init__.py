"""The unit: its equations, its backends and the layers; of this package it imports nothing."""

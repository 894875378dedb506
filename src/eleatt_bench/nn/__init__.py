"""The unit: equations, backends and layers. It imports nothing else of `eleatt_bench`."""

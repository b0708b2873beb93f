"""A first hour on a GPU: `python -m benchmarks.gpu`."""

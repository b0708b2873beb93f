"""Comparison of several runs: layers, concepts at each other's layers, matched concepts."""

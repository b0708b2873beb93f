"""Figures of results, each with its sentence of numbers."""

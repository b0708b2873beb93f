"""Concepts: their sources, the codes of images, and V-information about them."""

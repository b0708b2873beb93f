"""Labelled images, and bringing them to the network."""

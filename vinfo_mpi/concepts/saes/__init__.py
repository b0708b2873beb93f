"""Sparse autoencoders that other programs have trained: their files, and their features."""

"""The other analyses: each a stage with its own command and its own group in results.h5."""

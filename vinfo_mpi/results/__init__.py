"""results.h5, as a file and as tables."""

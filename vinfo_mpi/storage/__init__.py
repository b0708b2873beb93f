"""HDF5: row files written by all ranks, results, where every file comes from."""

"""Functions on arrays: folds, moments, ridge, NMF, NNLS, importance. Knows no files, no MPI, no networks."""

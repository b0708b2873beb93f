"""Functions on arrays: sums over samples, ridge, NMF, NNLS, CKA, spectrum, importance, bootstrap, .... Knows no files, no MPI, no networks."""

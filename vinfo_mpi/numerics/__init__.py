"""Functions on arrays: sums over samples, ridge, NMF, NNLS, CKA, spectrum, bootstrap, .... No files, MPI or networks here."""

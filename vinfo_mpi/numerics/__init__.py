"""Functions on arrays: moments, ridge, NMF, NNLS, CKA, ...; no files, MPI or networks here."""

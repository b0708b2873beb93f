"""Public names of the library, ``from vinfo_mpi import ...``: functions on arrays, results.

Functions on arrays take NumPy arrays or torch tensors, and return the kind that they are given: a
tensor lies on the device of the first argument. Results are float64, whatever the activations are.
Nothing is written, and MPI is not loaded: with ``comm=``, an mpi4py communicator, the rows given
are those of the rank, in the order of the ranks, and all ranks return what all rows give.
"""

# shellcheck shell=bash
# A profile for your site: copy this to hpc/sites/<name>.sh, and choose it with VINFO_SITE=<name>, or by its host names
# in hpc/site.sh. Everything is optional; what a profile does not set, generic.sh finds out. ${NAME:-value} lets the
# environment of sbatch win over the profile.

# Compiler, MPI and parallel HDF5 that go together, and Python 3.11 or newer. hpc/setup.sh builds h5py on them: it looks
# for mpicc and h5pcc (or HDF5_DIR).
# module purge
# module load gcc openmpi hdf5-mpi python

# How ranks are started. Leave it out and the MPI library is asked for its dialect (srun --mpi=...), or mpirun is used.
# The program chooses GPU and threads of a rank itself; bind to cores here if your site's default does not.
# export VINFO_LAUNCH=${VINFO_LAUNCH:-srun --mpi=pmix --cpu-bind=cores}

# Where runs are written unless --run-dir says otherwise: a parallel file system that is not cleaned under your feet.
# export VINFO_RUNS=${VINFO_RUNS:-$SCRATCH/vinfo_runs}

# Lustre only: over how many servers a file is spread (-1: all). 8 suits files of some GB to TB written by many ranks.
# export VINFO_STRIPES=${VINFO_STRIPES:-8}

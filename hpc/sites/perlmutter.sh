# shellcheck shell=bash
# NERSC Perlmutter (4 A100 a node). From public profiles of other projects and general knowledge; not tried.
#     sbatch -A m1234_g -C gpu -q regular -t 4:00:00 -N 4 --ntasks-per-node=4 --gpus-per-node=4 -c 32 slurm/full_pipeline.sh
module load PrgEnv-gnu cray-hdf5-parallel cudatoolkit craype-accel-nvidia80 cray-python

# Cray's compilers are their own MPI wrappers.
export MPICC=${MPICC:-cc}
export VINFO_LAUNCH=${VINFO_LAUNCH:-srun --cpu-bind=cores}
# Purged: move what is to stay.
export VINFO_RUNS=${VINFO_RUNS:-$PSCRATCH/vinfo_runs}
export VINFO_STRIPES=${VINFO_STRIPES:-8}
# HDF5's locks do not work on every Lustre.
export HDF5_USE_FILE_LOCKING=${HDF5_USE_FILE_LOCKING:-FALSE}

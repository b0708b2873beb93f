# shellcheck shell=bash
# JSC JUWELS Booster (4 A100 a node). From public profiles of other projects and general knowledge; not tried.
#     sbatch -A project -p booster -t 4:00:00 -N 4 --ntasks-per-node=4 --gres=gpu:4 -c 12 slurm/full_pipeline.sh
module load GCC OpenMPI CUDA HDF5 Python

# Every rank sees all four GPUs of its node, and the program picks one: the site's default shows each task a single one.
export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0,1,2,3}
# SCRATCH is set by jutil; it is purged: move what is to stay. The file system is GPFS: nothing to stripe.
export VINFO_RUNS=${VINFO_RUNS:-${SCRATCH:-$HOME}/vinfo_runs}

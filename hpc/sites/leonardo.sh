# shellcheck shell=bash
# CINECA Leonardo Booster (4 A100 a node). From public profiles of other projects and general knowledge; not tried.
#     sbatch -A project -p boost_usr_prod -t 4:00:00 -N 4 --ntasks-per-node=4 --gpus-per-node=4 -c 8 slurm/full_pipeline.sh
# Compute nodes have no internet: run bash hpc/setup.sh on a login node, after source hpc/site.sh. The names of modules
# carry versions here; `modmap -m hdf5` lists those that are there now.
module load gcc cuda openmpi hdf5 python

# Purged: move what is to stay.
export VINFO_RUNS=${VINFO_RUNS:-$SCRATCH/vinfo_runs}
export VINFO_STRIPES=${VINFO_STRIPES:-8}

#!/usr/bin/env bash
# Set-up (once), then everything that must hold: style, types, the serial tests, the MPI tests at 1 to 4 ranks.
#     bash hpc/test.sh [pytest options]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash hpc/setup.sh
# What tests need beside it, before they run side by side: a Slurm for the job scripts, a clock that
# is off, a browser for the pages, and a compiler for the pretended GPU.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    for program in git slurmctld slurmd munged ip faketime chromium c++; do
        command -v $program >/dev/null && continue
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends slurm-wlm munge iproute2 util-linux faketime chromium \
            g++ git >/dev/null
        break
    done
fi
source hpc/env.sh
export OMP_NUM_THREADS=1
# Hundreds of processes import the package: from source this takes each of them half a second.
unset PYTHONDONTWRITEBYTECODE
# Several jobs share the cores: a rank that waits is to let others work.
export OMPI_MCA_mpi_yield_when_idle=1

ruff check .
ruff format --check .
# Jobs wait much of their time, so that tests run side by side, in three processes on two cores; types are checked and
# the documentation is built meanwhile. Those on the local Slurm run in one process of their own: two clusters would have
# nodes and jobs of the same names, by which Open MPI shares its session files.
log=$(mktemp) status=0
documentation() { NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --site-dir "$(mktemp -d)/site"; }
{ mypy && documentation && python -m pytest tests/slurm "$@"; } >"$log" 2>&1 &
python -m pytest tests --ignore=tests/mpi --ignore=tests/slurm -n 3 --dist loadfile --no-loadscope-reorder "$@" || status=$?
wait $! || status=$?
cat "$log"
[ $status = 0 ]
for ranks in 1 2 3 4; do
    echo "MPI tests on $ranks ranks"
    # A hang is a failure: the limit ends it.
    timeout --kill-after=10 180 mpirun -n $ranks python -m pytest tests/mpi "$@"
done

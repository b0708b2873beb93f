#!/usr/bin/env bash
# From a fresh machine to scored concepts: set-up (once), then the whole pipeline on the embedded digits.
#     bash hpc/quickstart.sh [vinfo_mpi options]          VINFO_RANKS=4 bash hpc/quickstart.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash hpc/setup.sh
source hpc/env.sh
exec bash hpc/mpirun.sh -n "${VINFO_RANKS:-2}" python -m vinfo_mpi --config config/quickstart.yaml "$@"

#!/usr/bin/env bash
# On a bare GPU machine without a network: install runs/wheels (see prepare.sh) beside what the
# machine has, then look; options are those of python -m benchmarks.gpu. What is found goes to $OUT,
# or runs/gpu.
#
#   bash benchmarks/gpu/go.sh [--only codes,dictionary]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=${PYTHON:-python3}
export OUT=${OUT:-runs/gpu}
mkdir -p "$OUT"

# An environment of its own, since MPICH brings programs and libraries. It sees what the machine's
# Python sees, also where that is an environment itself.
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m venv --without-pip "$place"
packages=$("$place/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import sys; print(*filter(None, sys.path[1:]), sep="\n")' >"$packages/machine.pth"
"$python" -m pip --python "$place/bin/python" install --quiet --disable-pip-version-check \
    --no-index --no-deps --no-compile --ignore-installed runs/wheels/*.whl

export PATH=$place/bin:$PATH LD_LIBRARY_PATH=$place/lib:${LD_LIBRARY_PATH:-} MPI4PY_MPIABI=mpich
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
mpirun -n 2 python -c '
from mpi4py import MPI
assert MPI.COMM_WORLD.size == 2, "mpirun and mpi4py are of two MPIs"
assert MPI.Query_thread() == MPI.THREAD_MULTIPLE, "not all threads may call MPI"'
# It ends by itself unless something hangs.
timeout --kill-after=10 480 python -m benchmarks.gpu --seconds 450 "$@" 2>&1 | tee "$OUT/log.txt"

#!/usr/bin/env bash
# Bring what a bare GPU machine without a network lacks: wheels, into runs/wheels, which git
# ignores. They go to that machine with the repository; there: bash benchmarks/gpu/go.sh
#
#   bash benchmarks/gpu/prepare.sh [version of that machine's Python, 3.12 if not named]
#
# The machine is expected to have torch, torchvision and the usual scientific packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=${1:-3.12}
python=${PYTHON:-python3}

platforms=()
for name in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux_2_5 manylinux2014 manylinux1; do
    platforms+=(--platform "${name}_x86_64")
done
rm -rf runs/wheels
mkdir -p runs/wheels
download() {
    "$python" -m pip download --quiet --disable-pip-version-check --dest runs/wheels \
        --only-binary=:all: --implementation cp --python-version "$version" "${platforms[@]}" \
        --constraint hpc/constraints.txt "$@"
}
download pydantic mpi4py mpich
download --no-deps h5py # without MPI: one that is built on the machine's MPI does not go with this
# Ours, for its version and metadata; the code that runs there is the repository's.
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir runs/wheels .
wheels=(runs/wheels/*.whl)
echo "prepare: ${#wheels[@]} wheels for Python $version, $(du -sh runs/wheels | cut -f1)"

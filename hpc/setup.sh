#!/usr/bin/env bash
# Make .venv with everything vinfo_mpi needs, once; later calls return at once.
#
#   bash hpc/setup.sh [--mpi=auto|system|wheel] [--torch=default|cpu|cuNNN|present] [--venv=DIR] [--beside=DIR] [--latest]
#
#   --mpi=system  the machine's MPI and parallel HDF5: all ranks write one shared file through MPI-IO
#   --mpi=wheel   the MPICH wheel and serial h5py: needs neither root nor modules; one file per rank, joined
#   --mpi=auto    system where mpicc and a parallel HDF5 are found, or can be installed (Debian/Ubuntu as root);
#                 wheel otherwise
#   --torch=default  torch as pip finds it: on Linux with CUDA, some gigabytes
#   --torch=cpu      torch without CUDA, for laptops, from the package index that $VINFO_TORCH_INDEX names
#   --torch=cu126    torch for CUDA 12.6 (cu118: 11.8, ...), where the driver is too old for the default, from there too
#   --torch=present  torch, and all else that the Python in use ($PYTHON, else python3) has, in the versions that it
#                    has; only what is missing, MPI and HDF5 are installed
#   --venv=DIR    where to put the environment (default: .venv, or $VINFO_VENV)
#   --beside=DIR  take all but MPI and HDF5 from this environment, which this script has made: for the other MPI
#                 in megabytes instead of gigabytes
#   --latest      newest versions above requirements.txt, instead of the tested ones in hpc/constraints.txt
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mpi='' torch='' venv=${VINFO_VENV:-.venv} beside='' latest=''
for argument in "$@"; do
    case $argument in
        --mpi=auto | --mpi=system | --mpi=wheel) mpi=${argument#--mpi=} ;;
        --torch=default | --torch=cpu | --torch=cu[1-9][0-9][0-9] | --torch=present) torch=${argument#--torch=} ;;
        --venv=?*) venv=${argument#--venv=} ;;
        --beside=?*) beside=$(realpath "${argument#--beside=}") ;;
        --latest) latest=yes ;;
        *) echo "setup: '$argument' is not an option; valid: --mpi=auto|system|wheel, --torch=default|cpu|cu126|present (or another CUDA), --venv=DIR, --beside=DIR, --latest" >&2; exit 2 ;;
    esac
done
say() { echo "setup: $*"; }

# What was chosen once stays chosen, until another choice is made.
stamp=$venv/.vinfo-setup
read -r old_mpi old_latest _ _ old_beside old_torch old_python < <(head -n 1 "$stamp" 2>/dev/null || echo auto no)
mpi=${mpi:-$old_mpi} latest=${latest:-$old_latest} beside=${beside:-${old_beside#-}} torch=${torch:-${old_torch:-default}}
# The full path: further down an active environment no longer counts.
[ "$torch" != present ] || PYTHON=$(command -v "${PYTHON:-${old_python:-python3}}" || echo "${PYTHON:-python3}")
versions=hpc/constraints.txt
[ "$latest" = no ] && [ "$torch" != present ] || versions=/dev/null
project=$(sed -n '/^\[project/,/^\[tool/p' pyproject.toml)
wanted="$mpi $latest $({ cat requirements.txt hpc/constraints.txt hpc/setup.sh; echo "$project"; } | cksum) ${beside:--} $torch"
[ "$torch" != present ] || wanted+=" $PYTHON"
if [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$wanted" ]; then
    exit 0
fi

parallel_hdf5() { command -v h5pcc >/dev/null || pkg-config --exists hdf5-openmpi 2>/dev/null || [ -n "${HDF5_DIR:-}" ]; }
system_mpi() { command -v mpicc >/dev/null && parallel_hdf5; }
can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
apt_install() {
    say "installing with apt-get: $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

case $torch in cpu | cu[0-9]*)
    if [ -z "${VINFO_TORCH_INDEX:-}" ]; then
        say "--torch=$torch: set VINFO_TORCH_INDEX to the package index of torch's $torch builds; PyTorch's page Get Started names it" >&2
        exit 2
    fi ;;
esac
if [ "$torch" = present ]; then
    good='import torch, torchvision, sys; sys.exit([*map(int, torch.__version__.split(".")[:2])] < [2, 4])'
    if [ "$(realpath "$(dirname "$PYTHON")/..")" = "$(realpath -m "$venv")" ] || ! "$PYTHON" -c "$good" 2>/dev/null; then
        say "--torch=present: no torch (2.4 or newer) with torchvision in '$PYTHON'; name a Python outside of $venv with PYTHON=/path/to/python3" >&2
        exit 2
    fi
    packages_of=$PYTHON
fi

# An environment that is active may bring an mpicc of its own, with another HDF5 or none: look beside it.
active="^(${VIRTUAL_ENV:-/none}|${CONDA_PREFIX:-/none})/"
PATH=$(echo "$PATH" | tr ':' '\n' | grep -vE "$active" | paste -sd:)
python=${PYTHON:-python3}
if [ -n "${CONDA_PREFIX:-}" ]; then
    # What conda builds with its own compilers and linker does not fit another MPI.
    unset CC CXX LD CFLAGS CXXFLAGS CPPFLAGS LDFLAGS
    good='import ensurepip, sys; sys.exit(sys.version_info < (3, 11))'
    [ -n "${PYTHON:-}" ] || "$python" -c "$good" 2>/dev/null || python=$CONDA_PREFIX/bin/python3
    say "conda is active ($CONDA_PREFIX): its mpicc, HDF5 and compilers are not used; Python: $(command -v "$python")"
fi
if [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ]; then
    say "$venv exists and is not a Python environment; name another with --venv=DIR" >&2
    exit 2
fi

if [ -n "$beside" ]; then
    python=$beside/bin/python packages_of=$beside/bin/python
    if [ ! -f "$beside/.vinfo-setup" ] || [ "$beside" = "$(realpath "$venv")" ]; then
        say "--beside=$beside is not another environment that this script has made; make it first, or leave that out" >&2
        exit 2
    fi
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null && can_install; then
    apt_install python3 python3-venv python3-dev
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    { say "Python 3.11 or newer is needed as '$python'; name one with PYTHON=/path/to/python3" >&2; exit 2; }
# Called from inside an environment (maybe the very one that is made anew): go by the Python behind it.
python=$("$python" -c 'import sys; print(sys._base_executable)')

if [ $mpi != wheel ] && ! system_mpi && can_install; then
    apt_install openmpi-bin libopenmpi-dev libhdf5-openmpi-dev gcc libc6-dev pkg-config
fi
if [ $mpi != wheel ] && system_mpi; then
    kind=system
elif [ $mpi = system ]; then
    say "no mpicc with a parallel HDF5 here: load your site's modules (or set HDF5_DIR), or use --mpi=wheel" >&2
    exit 2
else
    kind=wheel
fi
if [ $kind = system ]; then
    say "MPI: the system's ($(command -v mpicc)), with parallel HDF5: one shared file through MPI-IO"
else
    say "MPI: the MPICH wheel, with serial HDF5: one file per rank, joined by virtual data sets"
fi

say "making $venv (a few minutes, once)"
# What worked before stays until the new environment works.
rm -rf "$venv.old"
[ ! -e "$venv" ] || mv "$venv" "$venv.old"
trap '[ ! -e "$venv.old" ] || { rm -rf "$venv"; mv "$venv.old" "$venv"; say "failed; the environment is as before" >&2; }' EXIT
"$python" -m venv "$venv"
install() { "$venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check --constraint "$versions" "$@"; }
if [ -n "${packages_of:-}" ]; then
    # Its packages come after those that are installed here.
    packages='import sys; print(*[path for path in sys.path if path.endswith("-packages")], sep="\n")'
    own='import sysconfig; print(sysconfig.get_path("purelib"))'
    "$packages_of" -c "$packages" >"$("$venv/bin/python" -c "$own")/beside.pth"
    own=(mpi4py)
    [ $kind = system ] || own+=(h5py)
    install --ignore-installed --no-deps "${own[@]}"
fi
install --upgrade pip setuptools setuptools-scm wheel
case $torch in cpu | cu[0-9]*)
    # In the versions that this index has; all else, what it needs itself as well, as tested and from where pip looks.
    sed -E '/^torch(vision)?==/d' "$versions" >"$venv/constraints.txt"
    versions=$venv/constraints.txt
    install --no-deps --index-url "$VINFO_TORCH_INDEX" torch torchvision
    build=$("$venv/bin/python" -c 'import importlib.util, pathlib, runpy
path = pathlib.Path(importlib.util.find_spec("torch").origin).with_name("version.py")
cuda = runpy.run_path(path)["cuda"]
print("cu" + cuda.replace(".", "") if cuda else "cpu")')
    [ "$build" = "$torch" ] ||
        { say "--torch=$torch: the torch of $VINFO_TORCH_INDEX is a $build build; name the index of $torch builds" >&2; exit 2; } ;;
esac
if [ $kind = system ]; then
    # The MPI build of h5py has to see the numpy, mpi4py and cython it will run with: no build isolation.
    grep -v '^h5py' requirements.txt > "$venv/requirements.txt"
    install -r "$venv/requirements.txt" cython pkgconfig
    say "building h5py on the system's parallel HDF5"
    # Its modules side by side: one of them takes a minute.
    printf '[build_ext]\nparallel = %s\n' "$(nproc)" > "$venv/build.cfg"
    CC=mpicc HDF5_MPI=ON DIST_EXTRA_CONFIG=$(realpath "$venv/build.cfg") \
        install --ignore-installed --no-build-isolation --no-deps --no-binary=h5py h5py
else
    install -r requirements.txt mpich
fi
# Setuptools warns of what an editable installation is.
PYTHONWARNINGS='ignore:Editable installation' install --no-build-isolation --editable ".[report,parquet,test,bench,docs]"

# In parallel, and also where PYTHONDONTWRITEBYTECODE is set: importing torch from source takes seconds every time.
"$venv/bin/python" -m compileall -q -j 0 -x 'site-packages/.*/tests?/' "$venv/lib" >/dev/null 2>&1 || true

say "checking that one MPI serves mpirun, mpi4py and h5py"
# shellcheck source=hpc/env.sh
VINFO_VENV=$venv . hpc/env.sh
if command -v mpirun >/dev/null; then
    mpirun -n 2 python hpc/check.py $kind
else
    say "no mpirun here (a login node?): not checked; inside a job run: srun -n 2 python hpc/check.py $kind"
fi
rm -rf "$venv.old"
trap - EXIT
echo "$wanted" > "$stamp"
say "done: source hpc/env.sh"

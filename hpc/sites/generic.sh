# shellcheck shell=bash
# Any cluster: needs no modules and finds out how ranks are started. Every other profile is read after this one.

# The command that starts `python -m vinfo_mpi` on the VINFO_RANKS ranks of a job; call it after hpc/env.sh.
# srun wires the ranks together in one of several dialects; an MPI library that does not speak it starts as many
# programs of one rank each, so we ask both sides, and take mpirun where they do not meet.
vinfo_launcher() {
    local library dialect
    if [ -n "${VINFO_LAUNCH:-}" ]; then
        echo "$VINFO_LAUNCH"
        return
    fi
    library=$(python -c '
import mpi4py
mpi4py.rc.initialize = False  # outside of srun, which some libraries mind
from mpi4py import MPI
print(MPI.Get_library_version().replace("\0", ""))') || return
    case $library in
        *"Open MPI"*) dialect=pmix ;;
        *CRAY*) dialect=cray_shasta ;;
        *) dialect=pmi2 ;;  # MPICH, Intel MPI, MVAPICH
    esac
    if srun --mpi=list 2>&1 | grep -q -w "$dialect"; then
        echo "srun --mpi=$dialect"
    else
        echo "mpirun -n ${VINFO_RANKS:?}"
    fi
}

# Make the folder of all runs, its files spread over several of a Lustre's servers: one shared file is then written
# as fast as those servers together. It holds for files that are made later, so it is said once, when the folder is new.
vinfo_prepare_runs() {
    if [ -n "${VINFO_RUNS:-}" ] && [ ! -d "$VINFO_RUNS" ]; then
        mkdir -p "$VINFO_RUNS"
        [ -z "${VINFO_STRIPES:-}" ] || ! command -v lfs >/dev/null || lfs setstripe -c "$VINFO_STRIPES" "$VINFO_RUNS" ||
            echo "site: no striping of $VINFO_RUNS" >&2
    fi
}

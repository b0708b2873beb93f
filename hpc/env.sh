# Source this: the shell then has python, mpirun and vinfo_mpi as hpc/setup.sh made them.
#     source hpc/env.sh
_vinfo_root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
_vinfo_venv=${VINFO_VENV:-.venv}
case $_vinfo_venv in /*) ;; *) _vinfo_venv=$_vinfo_root/$_vinfo_venv ;; esac
if [ ! -x "$_vinfo_venv/bin/python" ]; then
    echo "env: $_vinfo_venv does not exist yet: run bash hpc/setup.sh" >&2
    return 2 2>/dev/null || exit 2
fi
export VIRTUAL_ENV=$_vinfo_venv
export PATH=$_vinfo_venv/bin:$PATH
hash -r 2>/dev/null || true

# Open MPI 4 refuses root and more ranks than cores unless told; Open MPI 5 reads the PRTE names.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
# The binding is ours (parallel/devices.py): Open MPI's own would pin a rank's threads to one core.
export OMPI_MCA_hwloc_base_binding_policy=none PRTE_MCA_hwloc_default_binding_policy=none
# Containers forbid the single-copy shared memory transport; without this line Open MPI complains at every start.
export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
# Where people type Ctrl-C, the first one stops a run with its work saved.
case $- in *i*) eval "mpirun() { bash '$_vinfo_root/hpc/mpirun.sh' \"\$@\"; }" ;; esac
unset _vinfo_root _vinfo_venv

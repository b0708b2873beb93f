#!/usr/bin/env bash
# The whole pipeline, or the stage named by VINFO_STAGE, as one Slurm job; resources are those of sbatch's command line.
#
#   sbatch slurm/full_pipeline.sh
#   sbatch --nodes=4 --gpus-per-node=8 --ntasks-per-node=8 slurm/full_pipeline.sh config/imagenet_resnet50.yaml --set a.b=c
#
# The first argument is the configuration unless it is an option; all others go to python -m vinfo_mpi. Five minutes
# before its time is over the job saves its work and queues itself again, as often as it takes.
#SBATCH --job-name=vinfo
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR2@300
set -euo pipefail
say() { echo "[job ${SLURM_JOB_ID:-}] $*"; }
[ -n "${SLURM_JOB_ID:-}" ] || { echo "full_pipeline: not in a job; submit it: sbatch slurm/full_pipeline.sh" >&2; exit 2; }
job() { scontrol show job --oneliner "$SLURM_JOB_ID" | sed -n "s/.* $1=\([^ ]*\).*/\1/p"; }

# A stop request is passed to all ranks, again and again: the first may come before a rank listens.
stop='' step=''
trap warned USR2
trap stop_ranks TERM
warned() {
    local left=$(($(date -d "$(job EndTime)" +%s 2>/dev/null) - $(date +%s)))
    # A job shorter than the warning is warned as soon as it starts: it is to use its time all the same.
    if [ $SECONDS -lt 60 ] && [ $left -gt 90 ] && [ $left -lt 400 ]; then
        (sleep $((left - 60)); kill -USR2 $$) &
    else
        stop_ranks
    fi
}
stop_ranks() {
    [ -z "$stop" ] || return 0
    stop=yes
    say "asked to stop: saving"
    [ -z "$step" ] || remind
}
remind() { while kill -USR2 "$step" 2>/dev/null; do sleep 10; done & }

requeue() {  # requeue WHY
    local state restarts=${SLURM_RESTART_COUNT:-0}
    state=$(job JobState)
    [ "$state" = RUNNING ] || { say "$1; not queued again: the job was cancelled, or its time is over ($state)"; exit 75; }
    [ "$restarts" -lt "${VINFO_RESTARTS:-100}" ] || { say "$1; not queued again after $restarts restarts" >&2; exit 1; }
    say "$1; queued again, to resume there"
    scontrol requeue "$SLURM_JOB_ID" || { say "cannot be queued again: submit the same command to resume" >&2; exit 75; }
    exit 75
}

# sbatch runs a copy of this script: the repository is where the original lies.
for root in "${VINFO_ROOT:-}" "$(dirname "$(job Command)")/.." "${SLURM_SUBMIT_DIR:-}"; do
    [ ! -f "$root/vinfo_mpi/__main__.py" ] || break
    root=''
done
[ -n "$root" ] || { say "the repository of vinfo_mpi is not found; name it with VINFO_ROOT" >&2; exit 2; }
root=$(cd "$root" && pwd)

arguments=("$@")
case ${1:--} in
    -*) ;;
    *) config=$1
       [ -f "$config" ] || [ ! -f "$root/$config" ] || config=$root/$config
       arguments=(--config "$config" "${@:2}") ;;
esac

if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then  # resumes what --force began
    kept=()
    for argument in "${arguments[@]}"; do [ "$argument" = --force ] || kept+=("$argument"); done
    arguments=("${kept[@]}")
fi

export VINFO_RANKS=${SLURM_NTASKS:-$((SLURM_JOB_NUM_NODES * ${SLURM_NTASKS_PER_NODE:-1}))}
say "$SLURM_JOB_NAME: $VINFO_RANKS ranks on $SLURM_JOB_NODELIST, restarts ${SLURM_RESTART_COUNT:-0}," \
    "time left $(squeue -h -j "$SLURM_JOB_ID" -o %L)"
set +eu  # a site's modules are not written for strict shells
# shellcheck source=hpc/site.sh
. "$root/hpc/site.sh" || exit 2
set -eu
if [ ! -x "$(cd "$root" && realpath -m "${VINFO_VENV:-.venv}")/bin/python" ]; then
    # Jobs that start together wait for the one that sets up.
    (flock 9; bash "$root/hpc/setup.sh") 9>"$root/.venv-setup.lock"
fi
# shellcheck source=hpc/env.sh
. "$root/hpc/env.sh"
vinfo_prepare_runs

# srun forgets what sbatch was told (Slurm 22.05 and later), and where a rank is bound its cores are no hint of its share.
if [ -n "${SLURM_CPUS_PER_TASK:-}" ]; then
    export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK OMP_NUM_THREADS=${OMP_NUM_THREADS:-$SLURM_CPUS_PER_TASK}
fi
export SLURM_KILL_BAD_EXIT=1
launcher=$(vinfo_launcher)
read -ra launch <<<"$launcher"
program="vinfo_mpi${VINFO_STAGE:+.$VINFO_STAGE}"
say "${launch[*]} python -m $program ${arguments[*]}"

# MPICH names its shared memory after job and step, and a killed start leaves it behind: a restart takes a new step.
case $launcher in *pmi2*)
    for ((restart = 0; restart < ${SLURM_RESTART_COUNT:-0}; restart++)); do srun --nodes=1 --ntasks=1 true || true; done ;;
esac

[ -z "$stop" ] || requeue "stopped before it began"
"${launch[@]}" python -m "$program" "${arguments[@]}" &
step=$!
[ -z "$stop" ] || remind
# A trapped signal ends wait before its time.
while kill -0 $step 2>/dev/null; do wait $step || true; done
code=0
wait $step || code=$?

case $code in
    0) say "done" ;;
    75) requeue "stopped, with the work saved" ;;
    2) say "exit code 2: wrong input, see above; not queued again" ;;
    *) [ -z "$stop" ] || [ $code -le 128 ] || requeue "ended by a signal while stopping"
       say "exit code $code, see above; submit the same command again to resume" ;;
esac
exit $code

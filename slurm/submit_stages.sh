#!/usr/bin/env bash
# One job per main stage, one for the analyses, one for the pictures and one for the report, each
# with resources that suit it, each waiting for the one before.
#
#   bash slurm/submit_stages.sh CONFIG [--dry-run] [options of vinfo_mpi]
#
#   --dry-run             only print what would be submitted
#   VINFO_SBATCH          options of sbatch for all jobs, such as "--account=x --partition=y"
#   VINFO_SBATCH_TRAIN    for one stage, instead of its row below: VINFO_SBATCH_TRAIN="--nodes=4
#                         --ntasks-per-node=8 --gpus-per-node=8 --time=12:00:00"; likewise
#                         VINFO_SBATCH_EXTRACT and so on
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Enough for the sample and for a small network of your own. All ranks share the work of every
# stage; the stages up to extract run the network and gain most from GPUs. A job that runs out of
# time saves its work and queues itself again.
resources() {
    case $1 in
        train)      echo --ntasks=2 --cpus-per-task=2 --time=08:00:00 ;;
        extract)    echo --ntasks=4 --cpus-per-task=1 --time=04:00:00 ;;
        dictionary) echo --ntasks=4 --cpus-per-task=1 --time=04:00:00 ;;
        encode)     echo --ntasks=4 --cpus-per-task=1 --time=02:00:00 ;;
        score)      echo --ntasks=4 --cpus-per-task=1 --time=02:00:00 ;;
        importance) echo --ntasks=2 --cpus-per-task=1 --time=01:00:00 ;;
        dynamics)   echo --ntasks=4 --cpus-per-task=1 --time=02:00:00 ;;
        analyses)   echo --ntasks=4 --cpus-per-task=1 --time=04:00:00 ;;
        visualise)  echo --ntasks=4 --cpus-per-task=1 --time=04:00:00 ;;
        report)     echo --ntasks=4 --cpus-per-task=1 --time=02:00:00 ;;
    esac
}

wrong() { echo "submit_stages: $*" >&2; exit 2; }
usage="bash slurm/submit_stages.sh CONFIG [--dry-run] [options of vinfo_mpi]"
case ${1:--} in -*) wrong "name the configuration first: $usage" ;; esac
config=$1 dry=''
[ -f "$config" ] || [ ! -f "$root/$config" ] || config=$root/$config
arguments=(--config "$config")
for argument in "${@:2}"; do
    if [ "$argument" = --dry-run ]; then dry=yes; else arguments+=("$argument"); fi
done
command -v sbatch >/dev/null || [ -n "$dry" ] ||
    wrong "no sbatch here; to try it: bash hpc/local_slurm.sh start"
# shellcheck source=hpc/env.sh
. "$root/hpc/env.sh"

# The stages that make sense, or what is wrong, before anything is queued; without MPI, which login
# nodes may not have.
plan=$(python -m vinfo_mpi.train "${arguments[@]}" --stages) || exit 2
name=${plan%% *}

ids=() logs=() before=''
for stage in $(cut -d " " -f 2 <<<"$plan"); do
    override=VINFO_SBATCH_${stage^^}
    submit=(sbatch --parsable "--job-name=$name-$stage" "--export=ALL,VINFO_STAGE=$stage")
    # shellcheck disable=SC2206  # options are words
    submit+=(${!override:-$(resources "$stage")} ${VINFO_SBATCH:-})
    # A stage that fails takes those after it out of the queue.
    [ -z "$before" ] || submit+=("--dependency=afterok:$before" --kill-on-invalid-dep=yes)
    submit+=("$root/slurm/full_pipeline.sh" "${arguments[@]}")
    if [ -n "$dry" ]; then
        echo "${submit[*]}"
        before="<$stage>"
        continue
    fi
    if ! before=$("${submit[@]}"); then
        [ ${#ids[@]} = 0 ] || scancel "${ids[@]}"
        wrong "sbatch refused $stage; nothing is queued"
    fi
    before=${before%%;*}  # id;cluster where there are several
    echo "$before  $name-$stage"
    ids+=("$before") logs+=("$name-$stage-$before.log")
done
if [ -z "$dry" ]; then
    echo "watch: squeue -j $(IFS=,; echo "${ids[*]}")"
    echo "read:  tail -F ${logs[*]}"
    echo "end:   scancel ${ids[*]}"
fi

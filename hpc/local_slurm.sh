#!/usr/bin/env bash
# A real Slurm on one machine, to try and test batch scripts where there is no cluster.
#
#   bash hpc/local_slurm.sh start|stop|status [--nodes=3] [--cpus=4] [--gpus=4] [--dir=DIR]
#
#   --nodes  nodes, each with a network, a host name, processes and a /dev/shm of its own
#   --cpus   CPUs that every node claims to have, however many cores the machine has
#   --gpus   GPUs that every node claims to have: Slurm hands them out and sets CUDA_VISIBLE_DEVICES; they are no devices
#   --dir    where everything lies (default: ${TMPDIR:-/tmp}/vinfo-slurm)
#
# Needs root for more than one node. Missing packages are installed on Debian and Ubuntu; nothing in /etc is changed.
set -euo pipefail

usage='valid: start, stop, status, --nodes=N, --cpus=N, --gpus=N, --dir=DIR'
say() { echo "local_slurm: $*"; }
wrong() { say "$*" >&2; exit 2; }

command='' nodes=3 cpus=4 gpus=4 dir=${TMPDIR:-/tmp}/vinfo-slurm
for argument in "$@"; do
    case $argument in
        start | stop | status) command=$argument ;;
        --nodes=[1-9]* | --cpus=[1-9]* | --gpus=[0-9]*)
            [[ $argument =~ ^--(nodes|cpus|gpus)=([0-9]{1,3})$ ]] || wrong "'$argument' is not a number up to 999"
            printf -v "${BASH_REMATCH[1]}" %d "$((10#${BASH_REMATCH[2]}))" ;;
        --dir=?*) dir=${argument#--dir=} ;;
        *) wrong "'$argument' is not an option; $usage" ;;
    esac
done
[ -n "$command" ] || wrong "say what to do; $usage"
[ "$nodes" -le 250 ] || wrong "--nodes=$nodes: at most 250"
dir=$(realpath -m "$dir")
[ ${#dir} -le 60 ] || wrong "--dir=$dir: longer than 60 characters, too long for the sockets in it; name a shorter one"
PATH=$PATH:/usr/sbin:/sbin
export SLURM_CONF=$dir/slurm.conf

# A process is ours if it runs under the recorded id and names our folder: ids are given again after a reboot.
alive() { [ -f "$1" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(<"$1")/cmdline" | grep -q -F "$dir"; }

running() {
    local file
    [ -f "$dir/env.sh" ] || return 1
    for file in "$dir"/run/*.pid; do alive "$file" || return 1; done
    scontrol ping 2>/dev/null | grep -q ' UP'
}

install_missing() {
    local program missing=''
    for program in munged slurmctld slurmd srun ip unshare; do
        command -v $program >/dev/null || missing+=" $program"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        wrong "not installed:$missing; install slurm-wlm, munge, iproute2 and util-linux (on Debian or Ubuntu, root can: then I do it)"
    fi
    say "installing with apt-get: slurm-wlm munge iproute2 util-linux"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends slurm-wlm munge iproute2 util-linux >/dev/null
}

can_isolate() { unshare --net --uts --ipc --mount --pid --fork --mount-proc ip link add probe type bridge 2>/dev/null; }

# What a node is. Its first process outlives all others in it: when it is killed, so are they, and its network is gone.
isolate=(unshare --net --uts --ipc --mount --pid --fork --kill-child --mount-proc)
# shellcheck disable=SC2016  # expanded by the node
inside='
    set -eu
    dir=$1 name=$2 address=$3
    echo "$name" >/proc/sys/kernel/hostname
    mount --bind "$dir/hosts" /etc/hosts
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
    ip link set lo up
    until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
    ip address add "$address/24" dev eth0
    ip link set eth0 up
    slurmd -D -f "$dir/slurm.conf" -N "$name" & wait $!
'

start_node() {  # start_node NUMBER
    mkdir -m 1777 "$dir/tmp/node$1"
    local pid link=vslurm$number.$1
    setsid "${isolate[@]}" bash -c "$inside" node "$dir" "node$1" "$network.$1" >>"$dir/log/node$1.out" 2>&1 </dev/null &
    pid=$!
    echo $pid >"$dir/run/node$1.pid"
    until [ "$(readlink /proc/$pid/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
    ip link add "$link" type veth peer name eth0 netns $pid
    ip link set "$link" master "vslurm$number" up
}

start_only_node() {
    mkdir -m 1777 "$dir/tmp/$self"
    setsid slurmd -D -f "$dir/slurm.conf" -N "$self" >>"$dir/log/$self.out" 2>&1 </dev/null &
    echo $! >"$dir/run/$self.pid"
}

configure() {
    local me; me=$(id -un)
    # The short waits make a test quick. MinJobAge: without a database, a job that has ended is known for this long.
    # cred_expire is also what a requeued job waits before it starts again (2 minutes unless said).
    cat >"$dir/slurm.conf" <<END
ClusterName=vinfo
SlurmctldHost=$self($controller)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=$me
SlurmdUser=$me
AuthInfo=socket=$dir/run/munge.socket,cred_expire=8
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
TmpFS=$dir/tmp/%n
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/spool/%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/%n.log
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
ReturnToService=2
GresTypes=gpu
MinJobAge=86400
KillWait=5
SlurmdTimeout=30
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=2,sched_min_interval=0
NodeName=$names NodeAddr=$addresses CPUs=$cpus RealMemory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo) Gres=gpu:$gpus
PartitionName=local Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    : >"$dir/gres.conf"
    if [ "$gpus" -gt 0 ]; then
        # Slurm wants a device per GPU, and does no more than look at it.
        local gpu; for ((gpu = 0; gpu < gpus; gpu++)); do ln -s /dev/null "$dir/gpus/nvidia$gpu"; done
        echo "Name=gpu File=$dir/gpus/nvidia[0-$((gpus - 1))]" >"$dir/gres.conf"
    else
        sed -i 's/ Gres=gpu:0$//' "$dir/slurm.conf"
    fi
    cat >"$dir/env.sh" <<END
# Source this: sbatch, srun, squeue and sinfo then talk to the Slurm in this folder.
export SLURM_CONF=$dir/slurm.conf
export PATH=\$PATH:/usr/sbin:/sbin
END
}

start() {
    if running; then
        say "already running; to change it, stop it first"
        status
        return
    fi
    [ ! -e "$dir" ] || [ -f "$dir/env.sh" ] || [ -z "$(ls -A "$dir")" ] ||
        wrong "--dir=$dir holds something else; name an empty or new folder"
    install_missing
    stop >/dev/null
    mkdir -p "$dir"/{log,run,state,gpus,spool,tmp}
    mkdir -m 700 "$dir/key"
    chmod 755 "$dir"

    self=$(uname -n) && self=${self%%.*}
    if can_isolate; then
        # The first network of ours that no other local Slurm uses.
        number=0
        while ip link show "vslurm$number" >/dev/null 2>&1; do number=$((number + 1)); done
        network=10.213.$number controller=$network.254 port=$((6817 + 10 * number)) names="node[1-$nodes]" addresses="$network.[1-$nodes]"
        echo "$number" >"$dir/run/network"
        # Twice: a server that listens on IPv6 as well (torch) asks for the names of IPv4 addresses in the other form.
        for form in '' ::ffff:; do
            echo "${form}127.0.0.1 localhost"
            echo "$form$controller $self"
            for ((node = 1; node <= nodes; node++)); do echo "$form$network.$node node$node"; done
        done >"$dir/hosts"
        ip link add "vslurm$number" type bridge
        ip address add "$controller/24" dev "vslurm$number"
        ip link set "vslurm$number" up
    else
        say "this machine allows no namespaces: one node, in the machine's own network"
        nodes=1 controller=127.0.0.1 names=$self addresses=127.0.0.1
        port=$((20000 + $(echo "$dir" | cksum | cut -d ' ' -f 1) % 20000 / 2 * 2))
    fi
    configure

    trap 'say "failed; the logs are in $dir/log" >&2; tail -n 3 "$dir"/log/* >&2 2>/dev/null || true; stop >/dev/null' EXIT
    head -c 128 /dev/urandom >"$dir/key/munge.key"
    chmod 400 "$dir/key/munge.key"
    munged --force --key-file="$dir/key/munge.key" --socket="$dir/run/munge.socket" --pid-file="$dir/run/munged.pid" \
        --log-file="$dir/log/munged.log" --seed-file="$dir/key/munged.seed"
    slurmctld -f "$dir/slurm.conf"
    if [ "$names" = "$self" ]; then
        start_only_node
    else
        for ((node = 1; node <= nodes; node++)); do start_node $node; done
    fi
    local limit=$((SECONDS + 30))
    until [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | sort -u | wc -l)" = "$nodes" ]; do
        [ $SECONDS -lt $limit ]
        sleep 0.2
    done
    trap - EXIT
    status
}

stop() {
    local file
    # Without namespaces the processes of a job would stay: let Slurm end them while it can.
    if [ -f "$dir/env.sh" ] && [ ! -f "$dir/run/network" ] && running; then
        squeue -h -o %A | xargs -r scancel --full --signal=KILL
        for _ in {1..50}; do [ -n "$(squeue -h)" ] || break; sleep 0.2; done
    fi
    for file in "$dir"/run/node*.pid "$dir"/run/*.pid; do
        ! alive "$file" || kill -KILL "$(<"$file")"
        for _ in {1..100}; do alive "$file" || break; sleep 0.05; done
    done
    [ ! -f "$dir/run/network" ] || ip link delete "vslurm$(<"$dir/run/network")" 2>/dev/null || true
    [ ! -f "$dir/env.sh" ] || rm -rf "${dir:?}"/{key,run,state,gpus,spool,tmp,hosts,slurm.conf,gres.conf}
    say "stopped; the logs are in $dir/log"
}

status() {
    if ! running; then
        say "not running in $dir; start it: bash hpc/local_slurm.sh start"
        return 1
    fi
    sinfo -N -o '%10N %8T %5c %9G'
    say "use it: source $dir/env.sh     end it: bash hpc/local_slurm.sh stop --dir=$dir"
}

$command

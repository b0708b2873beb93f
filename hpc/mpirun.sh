#!/usr/bin/env bash
# mpirun whose first Ctrl-C asks the program to save its work and stop (it ends with 75); the second ends it at once.
# mpirun itself takes Ctrl-C for the end of all ranks: here it is out of the terminal's reach.
#     bash hpc/mpirun.sh -n 8 python -m vinfo_mpi          hpc/env.sh has interactive shells call it as mpirun
set -u
[ ! -t 0 ] || exec </dev/null
export VINFO_MPIRUN=$$
set -m # a process group of its own
mpirun "$@" <&0 &
launcher=$!
set +m

# Signal USR2 to all processes of this command on this machine that listen to it: ranks, and Open MPI's mpirun, which
# passes it on to other machines.
ask_to_stop() {
    local asked=no process caught
    for process in $(grep -lsz "^VINFO_MPIRUN=$$\$" /proc/[0-9]*/environ | cut -d / -f 3); do
        caught=$(sed -n 's/^SigCgt:\t*//p' "/proc/$process/status" 2>/dev/null)
        if ((0x${caught:-0} & 0x800)); then
            kill -USR2 "$process" && asked=yes
        fi
    done
    [ $asked = yes ]
}
interrupted=no
interrupt() {
    if [ $interrupted = no ] && ask_to_stop; then
        echo "mpirun: stopping where the work can be saved; Ctrl-C again ends at once" >&2
    else
        kill -INT $launcher
    fi
    interrupted=yes
}
trap interrupt INT
trap 'kill -USR2 $launcher' USR2
trap 'kill -TERM $launcher' TERM HUP

while wait $launcher; code=$?; [ $code -gt 128 ] && kill -0 $launcher 2>/dev/null; do :; done
exit $code

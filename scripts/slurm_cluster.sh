#!/usr/bin/env bash
# A real Slurm of one node on this machine, for tests: its own key, munged,
# slurmctld and slurmd in one directory, on ports of its own, ended by their pid
# files. Needs Debian's packages slurm-wlm and munge; no systemd, no accounting.
#
#     scripts/slurm_cluster.sh start DIR [CPUS]   prints `export SLURM_CONF=...`
#     scripts/slurm_cluster.sh kill-node DIR      as a crash of the node: SIGKILL to
#                                                 slurmd and everything it runs
#     scripts/slurm_cluster.sh start-node DIR     the node comes back
#     scripts/slurm_cluster.sh stop-controller DIR, start-controller DIR
#                                                 (in order: one that is killed
#                                                 forgets its last seconds)
#     scripts/slurm_cluster.sh stop DIR           ends tasks and daemons; keeps DIR
#
#     eval "$(scripts/slurm_cluster.sh start /tmp/cluster 2)" && sinfo
set -euo pipefail

usage() {
    sed -n '2,/^set /{s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

fail() {
    echo "slurm_cluster.sh: $*" >&2
    exit 1
}

# Debian has the daemons in sbin, which is not on everybody's PATH.
PATH=$PATH:/usr/sbin:/sbin

# The process of a pid file, if it runs.
running() { # FILE
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ ]] && kill -0 "$pid" 2>/dev/null && echo "$pid"
}

end_daemon() { # FILE
    local pid
    pid=$(running "$1") || return 0
    kill -TERM "$pid" 2>/dev/null || true
    for _ in {1..50}; do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
}

await() { # WHAT SECONDS COMMAND...
    local what=$1 tries=$(($2 * 5))
    shift 2
    for ((i = 0; i < tries; i++)); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.2
    done
    fail "$what did not come up; see the .log files in $dir"
}

# A port that nobody listens on: neither in the kernel's table nor taken here.
free_port() { # TAKEN
    local port hex
    for _ in {1..200}; do
        port=$((20000 + RANDOM % 12000))
        printf -v hex '%04X' "$port"
        [[ $port == "${1:-}" ]] && continue
        if ! grep -qs ":$hex " /proc/net/tcp /proc/net/tcp6; then
            echo "$port"
            return
        fi
    done
    fail "no free port between 20000 and 32000"
}

# Processes of a parent, and theirs.
descendants() { # PID
    local child
    for child in $(ps -o pid= --ppid "$1" 2>/dev/null); do
        echo "$child"
        descendants "$child"
    done
}

# What the node runs: each slurmstepd of this slurmd, and all below it. The
# sockets that slurmstepds keep in the spool directory name the steps, Slurm
# itself the processes of the steps; their parents are the slurmstepds.
step_processes() {
    local pid parent
    for pid in $(scontrol listpids 2>/dev/null | awk 'NR > 1 && $1 ~ /^[0-9]+$/ { print $1 }'); do
        parent=$(ps -o ppid= -p "$pid" 2>/dev/null | tr -d ' ') || continue
        # never init, never a shell: only the step's own daemon (Debian's is
        # called slurmstepd-wlm), and before its tasks, whose end it would report
        if [[ $(readlink "/proc/$parent/exe" 2>/dev/null) == */slurmstepd* ]]; then
            echo "$parent"
        fi
        echo "$pid"
        descendants "$pid"
    done | awk '!seen[$1]++'
}

start_controller() {
    running "$dir/slurmctld.pid" >/dev/null && fail "the controller runs already"
    slurmctld -L "$dir/slurmctld.log" || fail "slurmctld failed; see $dir/slurmctld.log"
    await slurmctld 20 scontrol ping
}

start_node() {
    running "$dir/slurmd.pid" >/dev/null && fail "the node runs already"
    slurmd -L "$dir/slurmd.log" || fail "slurmd failed; see $dir/slurmd.log"
}

node_is_up() {
    [[ $(sinfo -h -o %T) =~ ^(idle|mixed|allocated)$ ]]
}

kill_node() {
    local pid steps
    pid=$(running "$dir/slurmd.pid") || fail "the node does not run"
    steps=$(step_processes)
    # the daemon first, then the steps: nobody is to report an end
    kill -KILL "$pid"
    rm -f "$dir/slurmd.pid"
    # shellcheck disable=SC2086 # a list of numbers
    [[ -z $steps ]] || kill -KILL $steps 2>/dev/null || true
    echo "killed slurmd $pid and steps: ${steps//$'\n'/ }" >&2
}

stop() {
    local steps=
    if running "$dir/slurmd.pid" >/dev/null; then
        steps=$(step_processes || true)
    fi
    end_daemon "$dir/slurmd.pid"
    # shellcheck disable=SC2086
    [[ -z $steps ]] || kill -KILL $steps 2>/dev/null || true
    end_daemon "$dir/slurmctld.pid"
    end_daemon "$dir/munged.pid"
}

start() { # CPUS
    local cpus=$1 host memory ctld_port slurmd_port user name
    for name in munged slurmctld slurmd; do
        command -v "$name" >/dev/null || fail "no $name: apt-get install -y slurm-wlm munge"
        if running "$dir/$name.pid" >/dev/null; then fail "$name of $dir runs already"; fi
    done
    [[ $cpus =~ ^[1-9][0-9]*$ ]] || fail "CPUS is a positive number, not $cpus"
    [[ $dir =~ ^[A-Za-z0-9_./-]+$ ]] || fail "slurm.conf takes no path with other characters: $dir"
    user=$(id -un)
    host=$(hostname -s)
    memory=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
    ctld_port=$(free_port)
    slurmd_port=$(free_port "$ctld_port")
    # a key and a socket of its own; munged wants a private directory
    mkdir -p "$dir/munge" "$dir/state" "$dir/spool"
    chmod 700 "$dir/munge"
    (umask 077 && head -c 1024 /dev/urandom >"$dir/munge/key")

    cat >"$SLURM_CONF" <<CONF
ClusterName=sideband-test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$ctld_port
SlurmdPort=$slurmd_port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
# a requeued job waits until the old credential has expired (default 120 s)
AuthInfo=socket=$dir/munge/socket,cred_expire=10
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
# a node that comes back is used again, whatever it went down for
ReturnToService=2
SlurmctldTimeout=10
# a node that is silent for so long is down, its tasks are lost
SlurmdTimeout=15
KillWait=5
MessageTimeout=5
SchedulerParameters=sched_interval=1,batch_sched_delay=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
# as many CPUs as asked for, whatever the machine has
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    # a start that fails leaves nothing behind that runs
    trap stop EXIT
    munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" \
        --pid-file="$dir/munged.pid" --log-file="$dir/munged.log" \
        --seed-file="$dir/munge/seed" 2>>"$dir/munged.log" \
        || fail "munged failed; see $dir/munged.log"
    await munged 10 munge -n -S "$dir/munge/socket"
    start_controller
    start_node
    await "the node" 30 node_is_up
    trap - EXIT
    echo "export SLURM_CONF=$SLURM_CONF"
}

[[ $# -ge 2 && -n $2 ]] || usage
command=$1
if [[ $command == start ]]; then
    mkdir -p "$2"
fi
[[ -d $2 ]] || fail "no directory $2"
dir=$(cd "$2" && pwd)
export SLURM_CONF=$dir/slurm.conf
[[ $command == start || -f $SLURM_CONF ]] || fail "no cluster was started in $dir"

case $command in
    start) start "${3:-$(nproc)}" ;;
    stop) stop ;;
    kill-node) kill_node ;;
    start-node)
        start_node
        # as an administrator would, if Slurm drained it meanwhile
        if [[ $(sinfo -h -o %T) == dr* ]]; then
            scontrol update NodeName=ALL State=RESUME
        fi
        await "the node" 60 node_is_up
        ;;
    stop-controller) end_daemon "$dir/slurmctld.pid" ;;
    start-controller) start_controller ;;
    *) usage ;;
esac

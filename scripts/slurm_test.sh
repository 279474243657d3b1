#!/usr/bin/env bash
# Trains an ensemble on a real Slurm of this machine and as a plain run, kills the
# node in the middle, and compares: the members must be equal to the bit.
#
#     scripts/slurm_test.sh [PROGRAM]
#
# Needs Debian's packages slurm-wlm and munge. Ends everything it starts.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/release/sideband}")
work=$(mktemp -d)
cluster=$work/cluster
stop() {
    scripts/slurm_cluster.sh stop "$cluster" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap stop EXIT

settings=(--set ensemble.members=16 --set training.epochs=40 --set report.classifier_members=0
          --set executor.checkpoint_epochs=2 --set device.threads=1 --quiet)
slurm=(--executor slurm --set executor.block=2 --set executor.poll_seconds=1
       --set executor.stale_seconds=5)

echo '== undisturbed, in one process'
"$program" run configs/quickstart.toml --out "$work/local" "${settings[@]}" >/dev/null

eval "$(scripts/slurm_cluster.sh start "$cluster" 2)"

echo '== a job array'
"$program" run configs/quickstart.toml --out "$work/array" "${settings[@]}" "${slurm[@]}" >/dev/null

echo '== a job array whose node dies in the middle'
"$program" run configs/quickstart.toml --out "$work/killed" "${settings[@]}" "${slurm[@]}" >/dev/null &
run=$!
until [ "$(find "$work/killed/members" -name '*.safetensors' 2>/dev/null | wc -l)" -ge 3 ]; do
    kill -0 "$run"
    sleep 0.2
done
scripts/slurm_cluster.sh kill-node "$cluster"
there=$(find "$work/killed/members" -name '*.safetensors' | wc -l)
echo "node killed with $there of 16 members there"
sleep 3
scripts/slurm_cluster.sh start-node "$cluster"
wait "$run"

for other in array killed; do
    for file in "$work"/local/members/*.safetensors; do
        cmp "$file" "$work/$other/members/$(basename "$file")"
    done
    cmp "$work/local/metrics.json" "$work/$other/metrics.json"
    cmp "$work/local/predictions/source.parquet" "$work/$other/predictions/source.parquet"
done
[ "$there" -lt 16 ] || { echo 'the node died too late to matter' >&2; exit 1; }
echo 'slurm: members, metrics and predictions equal those of the plain run'

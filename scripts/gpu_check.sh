#!/usr/bin/env bash
# The model tests, the W1 and scaling benches, and 100 and 1000 members on a GPU.
#
#     scripts/gpu_check.sh cuda      # or wgpu
#
# Needs a driver; CUDA also NVRTC of its toolkit. On a machine with a network the
# feature `cuda` builds as it is. Prints which backends were tested.
set -euo pipefail
cd "$(dirname "$0")/.."
backend=${1:-cuda}
case "$backend" in
    cuda | wgpu) ;;
    *) echo "usage: $0 cuda|wgpu" >&2; exit 2 ;;
esac
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --release --package sideband-networks --features "$backend" -- --nocapture 2>&1 | tee "$log"
grep -q "backend $backend: tested" "$log" || { echo "$backend was not tested" >&2; exit 1; }
SIDEBAND_DEVICE=$backend cargo bench --features "$backend" --bench w1_step -- one_thread
SIDEBAND_DEVICE=$backend cargo bench --features "$backend" --bench scaling
for members in 100 1000; do
    time cargo run --release --features "$backend" -- run configs/quickstart.toml \
        --device "$backend" --set "ensemble.members=$members" --out "runs/quickstart-$backend-$members"
done

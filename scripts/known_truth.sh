#!/usr/bin/env bash
# The whole known-truth studies, whose figures benches/RESULTS.md gives:
# known_truth: error of the log ratio of two Gaussians against the number of
#   events, integral of r, coverage of the ensemble's band; ten to twenty minutes
#   on two cores;
# known_density: a conditional density, interpolated into a hole of its context
#   plane by ensembles of flows; five to fifteen minutes.
#
#     scripts/known_truth.sh [STUDY...]
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- known_truth known_density
for study in "$@"; do
    SIDEBAND_STUDY=full cargo test --release --workspace --test program -- "$study" --nocapture --test-threads=1
done

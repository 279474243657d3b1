#!/usr/bin/env bash
# The whole known-truth study of tests/known_truth.rs: error of the log ratio of
# two Gaussians against the number of events, integral of r, coverage of the
# ensemble's band. Prints the figures that benches/RESULTS.md gives; ten to twenty
# minutes on two cores.
#
#     scripts/known_truth.sh
set -euo pipefail
cd "$(dirname "$0")/.."
SIDEBAND_STUDY=full cargo test --release --workspace --test known_truth -- --nocapture --test-threads=1

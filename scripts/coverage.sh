#!/usr/bin/env bash
# The whole coverage studies on the model with known truth, whose figures
# benches/RESULTS.md gives:
# exact: intervals of exact ratios and of a histogram of the best observable, 20 000 toys
#   at ten points and a belt of as many;
#   ten to twenty minutes on two cores;
# learned: twenty trainings of all ratios, 500 toys at ten points each, with and
#   without the parameter for the finite training sample; half an hour or more.
#
#     scripts/coverage.sh [exact|learned...]
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- exact learned
for study in "$@"; do
    case "$study" in
        exact) SIDEBAND_STUDY=full cargo test --release --workspace --test program -- coverage --nocapture --test-threads=1 ;;
        learned)
            cargo build --release --workspace
            python3 scripts/coverage.py --out runs/coverage
            ;;
        *) echo "unknown study: $study; there are exact and learned" >&2; exit 2 ;;
    esac
done

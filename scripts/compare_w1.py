#!/usr/bin/env python3
"""W1 in turn with its peers: this program, PyTorch and JAX, on the same machine.

usage: compare_w1.py [--rounds N] [--seconds S] [--threads T]

Runs each program in alternation and prints a Markdown table of the medians, in
member-events a second, with the ratio to the best peer. Peers that are not
installed are left out and named. Build the bench first:

    cargo bench --bench w1_step --no-run
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ["torch-seq", "torch-bmm", "torch-bmm-compile", "torch-vmap", "jax-vmap"]
UNIT = {"item/s": 1.0, "Kitem/s": 1e3, "Mitem/s": 1e6, "Gitem/s": 1e9}


def sideband(members, threads):
    """Median member-events/s of the bench, by its own printing."""
    name = "all_threads" if threads > 1 else "one_thread"
    run = subprocess.run(
        ["cargo", "bench", "-q", "--bench", "w1_step", "--", f"{name}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    rates = {}
    current = None
    for line in run.stdout.splitlines():
        row = re.search(r"[├╰]─ (\d+)\s", line)
        if row:
            current = int(row.group(1))
        found = re.findall(r"([\d.]+) ([KMG]?item/s)", line)
        if current is not None and len(found) >= 3:
            value, unit = found[2]  # fastest, slowest, median, mean
            rates[current] = float(value) * UNIT[unit]
    return rates.get(members)


def peer(implementation, members, threads, seconds):
    """Member-events/s of a peer, or None if it cannot run here."""
    run = subprocess.run(
        [sys.executable, ROOT / "scripts/peers/w1_reweight.py", "--impl", implementation,
         "--members", str(members), "--batch", "1024", "--threads", str(threads),
         "--seconds", str(seconds)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    for line in run.stdout.splitlines():
        if line.startswith("{"):
            record = json.loads(line)
            for key in ("wall", "value", "per_s", "rate"):
                if key in record:
                    return float(record[key])
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--members", type=int, nargs="+", default=[10, 100])
    arguments = parser.parse_args()
    for members in arguments.members:
        rates = {}
        for _ in range(arguments.rounds):
            rate = sideband(members, arguments.threads)
            if rate:
                rates.setdefault("sideband", []).append(rate)
            for implementation in PEERS:
                rate = peer(implementation, members, arguments.threads, arguments.seconds)
                if rate:
                    rates.setdefault(implementation, []).append(rate)
        medians = {name: statistics.median(values) for name, values in rates.items()}
        missing = [p for p in PEERS if p not in medians]
        best = max((v for n, v in medians.items() if n != "sideband"), default=None)
        print(f"\n| W1, E = {members}, {arguments.threads} threads | M member-events/s | to the best peer |")
        print("|---|---|---|")
        for name, value in sorted(medians.items(), key=lambda item: -item[1]):
            ratio = f"{value / best:.2f}" if best else "–"
            print(f"| {name} | {value * 1e-6:.2f} | {ratio} |")
        if missing:
            print(f"not installed or failed: {', '.join(missing)}")


if __name__ == "__main__":
    main()

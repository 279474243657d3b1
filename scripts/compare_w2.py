#!/usr/bin/env python3
"""W2 in turn with its peers: this program, nflows, zuko and JAX, on the same machine.

usage: compare_w2.py [--rounds N] [--seconds S] [--threads T]

Runs each program in alternation and prints a Markdown table of the medians: training in
member-events a second at E = 1 and E = 25, and sampled events a second. Peers that are not
installed are left out and named. Build the bench first:

    cargo bench --bench w2_flow --no-run
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ["nflows", "jax", "zuko"]
UNIT = {"item/s": 1.0, "Kitem/s": 1e3, "Mitem/s": 1e6, "Gitem/s": 1e9}


def sideband():
    """Medians of the bench, by its own printing: {(metric, members): rate}."""
    run = subprocess.run(
        ["cargo", "bench", "-q", "--bench", "w2_flow"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    rates, name, members = {}, None, None
    for line in run.stdout.splitlines():
        group = re.match(r"[├╰]─ (\w+)", line)
        row = re.search(r"   [├╰]─ (\d+)\s", line)
        if row:
            members = int(row.group(1))
        elif group:
            name, members = group.group(1), 1
        found = re.findall(r"([\d.]+) ([KMG]?item/s)", line)
        if name and len(found) >= 3:
            value, unit = found[2]  # fastest, slowest, median, mean
            rates[name, members] = float(value) * UNIT[unit]
    return rates


def peer(implementation, members, threads, seconds):
    """{metric: rate} of a peer; empty if it cannot run here."""
    run = subprocess.run(
        [sys.executable, ROOT / "scripts/peers/w2_flow.py", "--impl", implementation,
         "--members", str(members), "--batch", "1024", "--threads", str(threads),
         "--seconds", str(seconds)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    rates = {}
    for line in run.stdout.splitlines():
        if line.startswith("{"):
            record = json.loads(line)
            for key in ("wall", "value", "per_s", "rate"):
                if key in record:
                    rates[record["metric"].split()[0]] = float(record[key])
                    break
    return rates


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    rates = {}

    def keep(metric, members, program, rate):
        rates.setdefault((metric, members), {}).setdefault(program, []).append(rate)

    for _ in range(arguments.rounds):
        for (name, members), rate in sideband().items():
            keep("sample" if name == "sample" else "train", members, "sideband", rate)
        for implementation in PEERS:
            for members in (1, 25) if implementation != "zuko" else (1,):
                found = peer(
                    implementation, members, arguments.threads, arguments.seconds
                )
                for metric, rate in found.items():
                    if metric != "sample" or members == 1:
                        keep(metric, members, implementation, rate)
    for (metric, members), programs in sorted(rates.items(), key=str):
        medians = {name: statistics.median(values) for name, values in programs.items()}
        best = max((v for n, v in medians.items() if n != "sideband"), default=None)
        print(
            f"\n| W2 {metric}, E = {members}, {arguments.threads} threads | M events/s | to the best peer |"
        )
        print("|---|---|---|")
        for name, value in sorted(medians.items(), key=lambda item: -item[1]):
            ratio = f"{value / best:.2f}" if best else "–"
            print(f"| {name} | {value * 1e-6:.3f} | {ratio} |")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""W4 in turn with its peers: this program, numpy and JAX, on the same machine.

usage: compare_w4.py --sideband PROGRAM [--rounds N] [--seconds S] [--threads T] [--events N ...]

W4 is one evaluation of the unbinned likelihood and its gradient: three processes, ten
nuisance parameters that change rates and densities by HistFactory's code 4. Runs each
program in alternation and prints a Markdown table of the medians, by wall clock and per
second of processor time. Peers that are not installed are left out. PROGRAM prints one JSON
object a line with metric, events, storage, threads and value, evaluations a second.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ["numpy-manual", "jax-dot", "jax-cond"]


def records(command):
    """The JSON lines of a program."""
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        last = run.stderr.strip().splitlines()[-1:] or ["no message"]
        print(f"left out: {command[-1]}: {last[0]}", file=sys.stderr)
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]


def sideband(program, threads, seconds):
    """[(name, events, evaluations a second by wall, by processor time)]."""
    lines = records([program, str(seconds)])
    chosen = [line for line in lines if line["metric"] == "gradient" and line["threads"] == threads]
    return [
        (
            "sideband" if line["storage"] == "Double" else "sideband, f32 storage",
            line["events"],
            line["value"],
            line["value_per_cpu_s"],
        )
        for line in chosen
    ]


def peer(implementation, events, threads, seconds):
    lines = records(
        [sys.executable, ROOT / "scripts/peers/w4_profile.py", "--fit", "none",
         "--threads", str(threads), "--seconds", str(seconds), "--repeats", "3",
         "--events", str(events), "--impl", implementation]
    )  # fmt: skip
    return [
        (implementation, events, line["value"], line["value_per_cpu_s"])
        for line in lines
        if line["metric"].startswith("NLL+grad")
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sideband", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--events", type=int, nargs="+", default=[20_000, 200_000])
    arguments = parser.parse_args()
    rates = {}
    for _ in range(arguments.rounds):
        found = sideband(arguments.sideband, arguments.threads, arguments.seconds / 4)
        for events in arguments.events:
            for implementation in PEERS:
                found += peer(implementation, events, arguments.threads, arguments.seconds)
        for name, events, *pair in found:
            rates.setdefault(events, {}).setdefault(name, []).append(pair)
    for events in arguments.events:
        medians = {
            name: [statistics.median(column) for column in zip(*pairs, strict=True)]
            for name, pairs in rates.get(events, {}).items()
        }
        peers = [pair for name, pair in medians.items() if not name.startswith("sideband")]
        best = [max(column) for column in zip(*peers, strict=True)]
        print(
            f"\n| W4, {events} events, {arguments.threads} threads | value and gradient/s "
            "| to the best peer | per processor second | to the best peer |"
        )
        print("|---|---|---|---|---|")
        for name, pair in sorted(medians.items(), key=lambda item: -item[1][0]):
            ratios = [f"{rate / peer:.2f}" for rate, peer in zip(pair, best)] or ["–", "–"]
            print(f"| {name} | {pair[0]:.1f} | {ratios[0]} | {pair[1]:.1f} | {ratios[1]} |")


if __name__ == "__main__":
    main()

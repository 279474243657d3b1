#!/usr/bin/env python3
"""Coverage of a measurement with learned ratios on the model with known truth.

usage: coverage.py --out FOLDER [--program PROGRAM] [--trainings N] [--toys N] [--events N]

Trains the ratios of configs/interference.toml N times, each from samples and initial weights of
its own, and measures with each what pseudo-experiments of the true density say: at five values of
mu, at two points of the nuisance parameters, with and without the parameter for the finite
training sample. Prints a Markdown table with the mean over trainings and the standard deviation
between them. Finished trainings are kept in FOLDER: the same command goes on from there.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GRID = [0.25, 0.5, 1.0, 1.5, 2.0]
POINTS = {"0, 0": {}, "+1, -1": {"shape": 1.0, "rate": -1.0}}
FINITE = {"with": [], "without": ["finite_sample"]}


def settings(seed, options, nuisance, fixed):
    """Settings of one run, on top of the shipped configuration."""
    values = {
        "experiment.seed": seed,
        "generate.seed": 1000 + seed,
        "generate.events": options.events,
        "ensemble.members": options.members,
        "training.epochs": options.epochs,
        "report.classifier_members": 0,
        "measurement.finite_sample_members": options.members,
        "measurement.fixed": fixed,
        "measurement.scan_points": 21,
        "toys.grid": GRID,
        "toys.number": options.toys,
        "toys.events": "truth",
    }
    values |= {f"toys.nuisance.{name}": value for name, value in nuisance.items()}
    return [f"--set={key}={json.dumps(value)}" for key, value in values.items()]


def measure(seed, options, point, finite):
    """Toys of one training at one point; a dictionary of the result."""
    kept = Path(options.out) / f"training_{seed}_{point}_{finite}.json".replace(", ", "_")
    if not kept.exists():
        run = Path(options.out) / f"training_{seed}"
        command = [options.program, "run", ROOT / "configs/interference.toml", "--quiet"]
        command += ["--out", run, *settings(seed, options, POINTS[point], FINITE[finite])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        kept.write_text((run / "measurement.json").read_text())
    return json.loads(kept.read_text())


def summary(values):
    """Mean and standard deviation."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return statistics.mean(values), spread


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--program", default=str(ROOT / "target/release/sideband"))
    parser.add_argument("--trainings", type=int, default=20)
    parser.add_argument("--toys", type=int, default=500)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=15)
    options = parser.parse_args()
    Path(options.out).mkdir(parents=True, exist_ok=True)
    results = {}
    for seed in range(1, options.trainings + 1):
        for point in POINTS:
            for finite in FINITE:
                results[seed, point, finite] = measure(seed, options, point, finite)
        print(f"training {seed} done", flush=True)
    print(f"\n{options.trainings} trainings x {options.toys} toys\n")
    print("| mu | shape, rate | finite sample | 68.27 % | 95.45 % | bias | failed |")
    print("|---|---|---|---|---|---|---|")
    for k, mu in enumerate(GRID):
        for point in POINTS:
            for finite in FINITE:
                toys = [
                    results[seed, point, finite]["toys"]["points"][k]
                    for seed in range(1, options.trainings + 1)
                ]
                cells = []
                for level in range(2):
                    mean, spread = summary([t["coverage"][level][0] for t in toys])
                    cells.append(f"{mean:.4f} ± {spread:.4f}")
                mean, spread = summary([t["bias"] for t in toys])
                failed = sum(t["failed"] for t in toys)
                cells.append(f"{mean:+.3f} ± {spread:.3f}")
                print(f"| {mu} | {point} | {finite} | {' | '.join(cells)} | {failed} |")
    finite = [
        results[seed, "0, 0", "with"]["finite_sample"]["error"]
        for seed in range(1, options.trainings + 1)
    ]
    fits = [
        {name: curve["best"] for name, curve in r["scans"]["mu"]["curves"].items()}
        for (seed, point, kind), r in results.items()
        if (point, kind) == ("0, 0", "without")
    ]
    differences = [fit["profiled"] - fit["exact"] for fit in fits]
    mean, spread = summary(finite)
    print(f"\nfinite training sample: estimated error of mu {mean:.4f} ± {spread:.4f}")
    mean, spread = summary(differences)
    print(f"learned less exact best fit on the same events: {mean:+.4f} ± {spread:.4f}")


if __name__ == "__main__":
    main()

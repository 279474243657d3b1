#!/usr/bin/env python3
"""Pulls of predicted yields over repeated data sets whose truth is known.

A source and a target are drawn again and again: features x, y, the number of events
Poisson, the ratio of densities exp(s x - s^2 / 2) in both regions. `sideband run` learns
the ratio in the training region and predicts the target's yield in the signal region,
whose true value is known. The pull is (predicted - true) / quoted error; its width is
one if the quoted error is right. Printed: mean and width, and the width without the
component `normalisation`.

    scripts/pulls.py [--sets N] [--program PATH] [--only NAME]

needs numpy and pyarrow. About 0.3 s a data set.
"""
import argparse, json, pathlib, subprocess, sys, tempfile
import numpy as np, pyarrow as pa, pyarrow.parquet as pq

CONFIG = """
[experiment]
name = "pulls"
method = "{method}"
seed = {seed}
[device]
threads = 1
[data.source]
path = "source.parquet"
weight = "w"
id = ["event"]
[data.target]
path = "target.parquet"
weight = "w"
id = ["event"]
[regions.cr]
selection = "m < 0.7"
[regions.sr]
selection = "m >= 0.7"
[features]
inputs = ["x", "y"]
[model]
hidden = [8]
[training]
region = "cr"
batch = 128
epochs = {epochs}
patience = 5
learning_rate = 0.005
{training}
[ensemble]
members = {members}
bootstrap = {bootstrap}
[report]
bins = 4
classifier_members = 0
"""

# name: expected events of source and target, slope s, method, training, bootstrap, members
FOLDS = 'split = "folds"\nfolds = 4'
CASES = {
    "reweight, few target events": (8000, 600, 0.4, "reweight", "", True, 10),
    "reweight, few source events": (900, 8000, 0.4, "reweight", "", True, 10),
    "reweight, equal samples, steep": (2000, 2000, 0.8, "reweight", "", True, 10),
    "reweight, weighted": (8000, 1200, 0.4, "reweight", "weighted", True, 10),
    "ratio, shared": (4000, 1000, 0.4, "ratio", "", True, 10),
    "ratio, 4 folds": (4000, 1000, 0.4, "ratio", FOLDS, True, 24),
    "reweight, 4 folds": (4000, 1000, 0.4, "reweight", FOLDS, True, 24),
}


def sample(rng, expected, slope, weighted, first):
    n = rng.poisson(expected)
    weights = rng.exponential(1.0, n) if weighted else np.ones(n)
    return dict(
        x=rng.normal(slope, 1, n), y=rng.normal(0, 1, n), m=rng.random(n), w=weights,
        event=np.arange(first, first + n),
    )


def study(program, case, sets):
    source, target, slope, method, training, bootstrap, members = case
    weighted = training == "weighted"
    pulls, without, relative = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for seed in range(1, sets + 1):
            rng = np.random.default_rng(seed)
            for name, args in (("source", (source, 0.0, weighted, 0)),
                               ("target", (target, slope, weighted, 10**9))):
                pq.write_table(pa.table(sample(rng, *args)), folder / f"{name}.parquet")
            (folder / "config.toml").write_text(CONFIG.format(
                method=method, seed=seed, training="" if weighted else training, members=members,
                bootstrap=str(bootstrap).lower(), epochs=40))
            done = subprocess.run([program, "run", "config.toml", "--quiet", "--out", f"out{seed}"],
                                  cwd=folder, capture_output=True, text=True)
            if done.returncode not in (0, 6):
                sys.exit(done.stdout + done.stderr)
            y = json.loads((folder / f"out{seed}/metrics.json").read_text())["regions"]["sr"]["yields"]
            truth = 0.3 * target
            error = np.hypot(y["after_stat"], y["after_spread"])
            rest = np.sqrt(max(error**2 - y["components"].get("normalisation", 0.0) ** 2, 1e-12))
            pulls.append((y["after"] - truth) / error)
            without.append((y["after"] - truth) / rest)
            relative.append(y["after"] / truth - 1)
    return np.array(pulls), np.array(without), np.array(relative)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--program", default="target/release/sideband")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    print("| case | mean | width | without normalisation | scatter [%] |")
    print("|---|---|---|---|---|")
    for name, case in CASES.items():
        if arguments.only not in name:
            continue
        pulls, without, relative = study(program, case, arguments.sets)
        n = len(pulls)
        print(f"| {name} | {pulls.mean():+.2f} ± {pulls.std() / n**0.5:.2f} | {pulls.std():.2f} ± "
              f"{pulls.std() / (2 * n)**0.5:.2f} | {without.std():.2f} | {100 * relative.std():.1f} |",
              flush=True)


if __name__ == "__main__":
    main()

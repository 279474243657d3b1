#!/usr/bin/env python3
"""Pulls of predicted yields over repeated data sets whose truth is known.

    scripts/pulls.py [--sets N] [--program PATH] [--only WORDS] [--jobs N]

Each data set is drawn anew with a Poisson number of events and goes through the program. A pull
is (predicted - true) / quoted error of the prediction; its width about the truth is one if the
quoted error is right. Printed as well: the width without the counting errors of what the yield was
normalised to, and the quoted error in % of the truth with its parts.

Reweighting and ratio: the ratio of densities is exp(s x - s^2 / 2) in both regions, and is learned
in the training region. Interpolation: a falling plane with a round hole. Comparison: the source and
the target have the same masses, and two training regions on both sides of the signal region.

Needs numpy and pyarrow.
"""

import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from study import write

HEAD = """
[experiment]
name = "pulls"
method = "{method}"
seed = {seed}
[device]
threads = 1
"""

SAMPLES = """
[data.source]
path = "source.parquet"
weight = "w"
id = ["event"]
[data.target]
path = "target.parquet"
weight = "w"
id = ["event"]
label = "{label}"
"""

RATIO = HEAD + SAMPLES + """
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
epochs = 40
patience = 5
learning_rate = 0.005
{training}
[ensemble]
members = {members}
[report]
bins = 4
classifier_members = 0
"""

COMPARISON = """
[matrix]
region = ["a"]
method = [{{ name = "cr1", train = "m1 < 3" }}, {{ name = "cr2", train = "m1 > 7" }}]
[comparison]
region = "sr"
reweighting = {{ nominal = "cr1" {variation} }}
""" + HEAD + SAMPLES + """
[regions.sr]
selection = "abs(m1 - 5) < 2 && abs(m2 - 5) < 2"
[regions.train]
selection = "${{method.train}}"
[features]
inputs = ["x"]
[model]
hidden = [8]
[training]
region = "train"
epochs = {epochs}
patience = 5
learning_rate = 0.005
batch = 128
[ensemble]
members = {members}
[report]
bins = 2
classifier_members = 0
"""

PLANE = HEAD + """
[data.target]
path = "target.parquet"
weight = "w"
id = ["event"]
[regions.sr]
selection = "hypot(m1 - 4, m2 - 4) < 1.8"
[regions.out]
selection = "hypot(m1 - 4, m2 - 4) >= 1.8"
[interpolation]
samples = 20000
posterior_draws = 50
flow = {{ sequence = ["linear", "coupling"], repeat = 1, hidden = 4, dropout = 0.0 }}
[interpolation.plane]
x = "m1"
y = "m2"
x_range = [0, 10]
y_range = [0, 10]
bins = 10
holes = [{{ kind = "circle", centre = [4, 4], radius = 1.8 }}]
fit = {{ noise = "predicted", average_kernel = true }}
[interpolation.category]
column = "year"
values = [0, 1]
[[interpolation.variables]]
name = "a"
[[interpolation.variables]]
name = "b"
[training]
region = "out"
held_out = 0.0
epochs = 1
batch = 1024
[ensemble]
members = 2
bootstrap = false
"""

SLOPE = (0.08, 0.05)


def two_weights(random, n):
    """Two kinds of weights, so that (sum w)^2 / sum w^2 is far below the number of events."""
    return np.where(random.random(n) < 0.2, 5.0, 0.5)


class Ratio:
    """A reweighting or ratio: expected events, slope, settings; its data and what it found."""

    def __init__(self, source, target, slope, method="reweight", folds=0, weighted=False, members=10):
        self.expected, self.slope, self.weighted = (source, target), slope, weighted
        training = f'split = "folds"\nfolds = {folds}' if folds else ""
        self.settings = {"method": method, "training": training, "members": members, "label": "4b"}
        self.text = RATIO

    def make(self, folder, random):
        for k, name in enumerate(("source", "target")):
            n = random.poisson(self.expected[k])
            write(
                folder / f"{name}.parquet",
                k * 10**9,
                x=random.normal(k * self.slope, 1, n),
                y=random.normal(0, 1, n),
                m=random.random(n),
                w=random.exponential(1.0, n) if self.weighted else np.ones(n),
            )
        return 0.3 * self.expected[1]

    def found(self, folder):
        y = json.loads((folder / "out/metrics.json").read_text())["regions"]["sr"]["yields"]
        parts = {"statistical": y["after_stat"], **y["components"]}
        members = y["after_spread"] ** 2 - sum(x**2 for x in y["components"].values())
        parts.setdefault("members", max(members, 0.0) ** 0.5)
        return y["after"], parts


class Interpolation(Ratio):
    """An interpolated mass plane."""

    def __init__(self):
        self.settings, self.text = {"method": "interpolate"}, PLANE

    @staticmethod
    def kept(m1, m2):
        return np.exp(-SLOPE[0] * m1 - SLOPE[1] * m2)

    def make(self, folder, random):
        m1, m2 = random.uniform(0, 10, (2, random.poisson(6000)))
        keep = random.random(len(m1)) < self.kept(m1, m2)
        m1, m2 = m1[keep], m2[keep]
        n = len(m1)
        columns = {"m1": m1, "m2": m2, "a": random.normal(0.1 * m1, 1), "b": random.normal(0, 1, n)}
        write(folder / "target.parquet", 0, year=random.integers(0, 2, n), w=two_weights(random, n), **columns)
        grid = (np.arange(2000) + 0.5) / 200
        x, y = np.meshgrid(grid, grid)
        inside = np.hypot(x - 4, y - 4) < 1.8
        return 1.4 * 60 * np.sum(self.kept(x, y)[inside]) * (10 / 2000) ** 2


class Compared(Ratio):
    """A method of a comparison: `abcd` (yields of the whole source) or `reweighting`."""

    def __init__(self, method, slope=0.0, epochs=1, members=2, variation=""):
        self.method, self.slope, self.text = method, slope, COMPARISON
        names = {"method": "reweight", "label": "${region}", "variation": variation}
        self.settings = {"epochs": epochs, "members": members, **names}

    def make(self, folder, random):
        for k, (name, mean) in enumerate((("source", 1500), ("target", 800))):
            n = random.poisson(mean)
            m1, m2 = random.uniform(0, 10, (2, n))
            x = random.normal(k * self.slope, 1, n)
            write(folder / f"{name}.parquet", k * 10**9, m1=m1, m2=m2, x=x, w=two_weights(random, n))
        return 1.4 * 800 * 0.16

    def found(self, folder):
        result = json.loads((folder / "out/comparison.json").read_text())
        method = result["rows"]["a"]["methods"][self.method]
        return method["predicted"], method["errors"]


CASES = {
    "reweight, few target events": Ratio(8000, 600, 0.4),
    "reweight, few source events": Ratio(900, 8000, 0.4),
    "reweight, equal samples, steep": Ratio(2000, 2000, 0.8),
    "reweight, weighted": Ratio(8000, 1200, 0.4, weighted=True),
    "reweight, 4 folds": Ratio(4000, 1000, 0.4, folds=4, members=24),
    "ratio, shared": Ratio(4000, 1000, 0.4, "ratio"),
    "ratio, 4 folds": Ratio(4000, 1000, 0.4, "ratio", folds=4, members=24),
    "interpolation": Interpolation(),
    "comparison, abcd": Compared("abcd"),
    "comparison, reweighting": Compared("reweighting", 0.4, 40, 10),
    "comparison, reweighting and control region": Compared("reweighting", 0.4, 40, 10, ', variation = "cr2"'),
}


def one(program, case, seed):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        truth = case.make(folder, np.random.default_rng(seed))
        (folder / "config.toml").write_text(case.text.format(seed=seed + 1, **case.settings))
        command = [program, "run", "config.toml", "--quiet", "--out", "out"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 6):
            sys.exit(done.stdout + done.stderr)
        predicted, parts = case.found(folder)
        return predicted / truth - 1, {name: error / truth for name, error in parts.items()}


def row(name, results):
    off = np.array([r[0] for r in results])
    parts = {k: np.array([r[1][k] for r in results]) for k in results[0][1]}
    total = np.sqrt(sum(p**2 for p in parts.values()))
    rest = np.sqrt(np.maximum(total**2 - parts.get("normalisation", 0.0) ** 2, 1e-12))
    width = lambda pulls: np.sqrt(np.mean(pulls**2))
    n, pulls = len(off), off / total
    shares = ", ".join(f"{k} {100 * p.mean():.2g}" for k, p in parts.items() if p.any())
    return (
        f"| {name} | {n} | {pulls.mean():+.2f} ± {pulls.std() / n**0.5:.2f} "
        f"| {width(pulls):.2f} ± {width(pulls) / (2 * n) ** 0.5:.2f} | {width(off / rest):.2f} "
        f"| {100 * off.std():.1f} | {100 * total.mean():.1f}: {shares} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=150)
    parser.add_argument("--program", default="target/release/sideband")
    parser.add_argument("--only", default="", help="cases with these words in their name")
    parser.add_argument("--jobs", type=int, default=2, help="data sets at a time")
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    print("| yield | data sets | mean | width | without normalisation | scatter [%] | quoted error [%], of which |")
    print("|---|---|---|---|---|---|---|")
    for name, case in CASES.items():
        if arguments.only in name:
            with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
                results = list(pool.map(lambda seed: one(program, case, seed), range(arguments.sets)))
            print(row(name, results), flush=True)


if __name__ == "__main__":
    main()

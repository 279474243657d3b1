#!/usr/bin/env python3
"""Pulls of repeated data sets: interpolated yields, and yields of the source as a whole (ABCD).

    scripts/pulls_interpolation.py [--sets N] [--binary target/release/sideband] [--jobs N]

Each data set is drawn anew with a Poisson number of events, and goes through the program. A pull is
(predicted - truth) / quoted error of the prediction; widths are about the truth and should be 1.
Needs numpy and pyarrow.
"""

import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PLANE = """
[experiment]
name = "pulls"
method = "interpolate"
seed = {seed}
[device]
threads = 1
[data.target]
path = "t.parquet"
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

ABCD = """
[matrix]
region = ["a"]
method = [{{ name = "cr1", train = "m1 < 3" }}, {{ name = "cr2", train = "m1 > 7" }}]
[comparison]
region = "sr"
reweighting = {{ nominal = "cr1" }}
[experiment]
name = "pulls"
method = "reweight"
seed = {seed}
[device]
threads = 1
[data.source]
path = "s.parquet"
weight = "w"
id = ["event"]
[data.target]
path = "t.parquet"
weight = "w"
id = ["event"]
label = "${{region}}"
[regions.sr]
selection = "abs(m1 - 5) < 2 && abs(m2 - 5) < 2"
[regions.train]
selection = "${{method.train}}"
[features]
inputs = ["x"]
[model]
hidden = [4]
[training]
region = "train"
epochs = 1
batch = 256
[ensemble]
members = 2
[report]
bins = 2
classifier_members = 0
"""

SLOPE = (0.08, 0.05)


def square(random, mean):
    n = random.poisson(mean)
    return random.uniform(0, 10, n), random.uniform(0, 10, n)


def kept(m1, m2):
    return np.exp(-SLOPE[0] * m1 - SLOPE[1] * m2)


def write(path, **columns):
    columns["event"] = np.arange(len(columns["w"]))
    pq.write_table(pa.table(columns), path)


def weights(random, n):
    """Two kinds of weights, so that (sum w)^2 / sum w^2 is far below the number of events."""
    return np.where(random.random(n) < 0.2, 5.0, 0.5)


def plane(folder, seed, scale):
    random = np.random.default_rng(seed)
    m1, m2 = square(random, 6000 * scale)
    keep = random.random(len(m1)) < kept(m1, m2)
    m1, m2 = m1[keep], m2[keep]
    n = len(m1)
    write(
        folder / "t.parquet",
        m1=m1,
        m2=m2,
        a=random.normal(0.1 * m1, 1),
        b=random.normal(0, 1, n),
        year=random.integers(0, 2, n),
        w=weights(random, n),
    )
    grid = (np.arange(2000) + 0.5) / 200
    x, y = np.meshgrid(grid, grid)
    inside = np.hypot(x - 4, y - 4) < 1.8
    density = 6000 * scale / 100
    return 1.4 * density * np.sum(kept(x, y)[inside]) * (10 / 2000) ** 2


def abcd(folder, seed, scale):
    random = np.random.default_rng(seed)
    for name, mean in (("s", 1500), ("t", 800)):
        m1, m2 = square(random, mean * scale)
        n = len(m1)
        write(folder / f"{name}.parquet", m1=m1, m2=m2, x=random.normal(0, 1, n), w=weights(random, n))
    return 1.4 * 800 * scale * 0.16


def one(binary, kind, seed, scale):
    make, config = {"interpolation": (plane, PLANE), "abcd": (abcd, ABCD)}[kind]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        truth = make(folder, seed, scale)
        (folder / "config.toml").write_text(config.format(seed=seed + 1))
        done = subprocess.run(
            [binary, "run", "config.toml", "--quiet", "--out", "out"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        if kind == "abcd":
            found = json.loads((folder / "out/comparison.json").read_text())["rows"]["a"]["methods"]["abcd"]
            errors = found["errors"]
            return found["predicted"] - truth, errors
        y = json.loads((folder / "out/metrics.json").read_text())["regions"]["sr"]["yields"]
        return y["after"] - truth, {"statistical": y["after_stat"], **y["components"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--binary", default="target/release/sideband")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the number of events")
    arguments = parser.parse_args()
    binary = str(pathlib.Path(arguments.binary).resolve())
    print("| yield | data sets | mean | width | without normalisation | quoted error, of which |")
    print("|---|---|---|---|---|---|")
    for kind in ("interpolation", "abcd"):
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            seeds = range(arguments.sets)
            results = list(pool.map(lambda s: one(binary, kind, s, arguments.scale), seeds))
        off = np.array([r[0] for r in results])
        names = list(results[0][1])
        parts = {k: np.array([r[1][k] for r in results]) for k in names}
        total = np.sqrt(sum(p**2 for p in parts.values()))
        rest = np.sqrt(total**2 - parts["normalisation"] ** 2)
        width = lambda pulls: np.sqrt(np.mean(pulls**2))
        n = len(off)
        shares = ", ".join(f"{k} {p.mean():.2g}" for k, p in parts.items())
        pulls = off / total
        print(
            f"| {kind} | {n} | {pulls.mean():+.2f} ± {pulls.std() / n**0.5:.2f} "
            f"| {width(pulls):.2f} ± {width(pulls) / (2 * n) ** 0.5:.2f} | {width(off / rest):.2f} "
            f"| {total.mean():.3g}: {shares} |"
        )


if __name__ == "__main__":
    main()

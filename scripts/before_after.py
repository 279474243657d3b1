#!/usr/bin/env python3
"""Two builds of this program side by side: is the second slower?

    scripts/before_after.py BEFORE AFTER [--rounds N] [--rows WORD ...]

BEFORE and AFTER are folders with the program `sideband` and the benches, under their names
without the digest (`cargo bench --no-run` says where it leaves them). The rows are those of
`compare_peers.py`, the mass plane's, and with `--scaling` the points of the scaling bench.
A round runs every row once with each build, the order changing, so that a bad minute of the
machine meets all rows alike; printed are the mean of the ratios after / before of times (below
1: faster) with its 95 % interval, from the logarithms by Student's t. Rows whose program is
missing are left out. The Parquet row needs EVENTS made by `scripts/peers/read_parquet.py make`,
the profile row the file of `scripts/peers/w4_data.py`. Needs numpy and scipy.
"""

import argparse
import functools
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from scipy.stats import t as student

from comparison import RATE, divan

ROOT = pathlib.Path(__file__).resolve().parent.parent


def wall(command):
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def quickstart(folder, members, scratch):
    out = pathlib.Path(tempfile.mkdtemp(dir=scratch)) / "run"
    settings = ["--set", f"ensemble.members={members}", "--quiet", "--out", str(out)]
    # builds before paths started from the configuration's folder find them as well
    for role, name in [("source", "qcd_2b"), ("target", "qcd_4b")]:
        path = ROOT / f"tests/data/collisions/{name}.parquet"
        settings += ["--set", f"data.{role}.path={json.dumps(str(path))}"]
    return wall([folder / "sideband", "run", "configs/quickstart.toml", *settings])


def lines(command):
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def parquet(folder, events):
    found = lines([folder / "read_parquet", events, "--rounds", "7"])[-1]
    return float(np.median(found["seconds"]))


def gradient(folder):
    return 1.0 / lines([folder / "w4_likelihood", "gradient", "200000", "1"])[-1]["value"]


def profile(folder, data):
    return wall([folder / "w4_likelihood", "profile", data, "21"])


def bench(name, path, seconds, folder):
    return 1.0 / divan(folder / name, f"{name}::{path}", seconds)[RATE]


def plane(what, samples, folder):
    options = ["--bench", "--exact", f"w5_plane::fits::{what}", "--sample-count", str(samples)]
    return wall([folder / "w5_plane", *options])


# Members, events, batch, width, features, threads: one axis at a time, as in benches/scaling.rs.
POINTS = [
    *[(members, 100_000, 1024, 50, 12, 1) for members in (1, 10, 100, 1000)],
    *[(1, events, 1024, 50, 12, 1) for events in (10_000, 1_000_000, 10_000_000)],
    *[(1, 100_000, batch, 50, 12, 1) for batch in (256, 4096, 16_384, 65_536)],
    *[(1, 100_000, 1024, width, 12, 1) for width in (16, 32, 64, 128, 256, 512, 1024)],
    *[(1, 100_000, 1024, 50, features, 1) for features in (2, 50, 200)],
    (1, 100_000, 1024, 50, 12, 2),
    (1, 100_000, 1024, 1024, 12, 2),
    (1, 100_000, 8192, 1024, 12, 2),
]


def point(axes, folder):
    command = [folder / "scaling", "point", *map(str, axes), "0"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[0])


def interval(ratios):
    logs = np.log(ratios)
    half = student.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / len(logs) ** 0.5
    return np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])


def listed(arguments, scratch):
    """Every row: its name, its program, and what one build takes for it."""
    one = functools.partial
    rows = [("quickstart, 10 members", "sideband", lambda f: quickstart(f, 10, scratch))]
    if arguments.full:
        rows.append(("quickstart, 100 members", "sideband", lambda f: quickstart(f, 100, scratch)))
    benches = [
        ("W1: a step of 1 member, one thread", "w1_step", "one_thread::1"),
        ("W1: 10 members, all threads", "w1_step", "all_threads::10"),
        ("W1: 100 members, all threads", "w1_step", "all_threads::100"),
        ("W2: training of 25 flows", "w2_flow", "train::25"),
        ("W2: sampling", "w2_flow", "sample"),
        ("W3: batch 1024", "w3_classifier", "train::1024"),
        ("W3: batch 8192", "w3_classifier", "train::8192"),
    ]
    for name, program, path in benches:
        rows.append((name, program, one(bench, program, path, arguments.seconds)))
    rows.append(("W4: value and gradient", "w4_likelihood", gradient))
    if arguments.likelihood:
        rows.append(("W4: fit and scan", "w4_likelihood", lambda f: profile(f, arguments.likelihood)))
    rows.append(("W5: fit of a mass plane", "w5_plane", one(plane, "grid", 20)))
    if arguments.events:
        rows.append(("Parquet to arrays", "read_parquet", lambda f: parquet(f, arguments.events)))
    if arguments.scaling:
        axes = ("E", "N", "batch", "width", "D", "threads")
        for values in POINTS:
            usual = dict(zip(axes, POINTS[0], strict=True))
            found = dict(zip(axes, values, strict=True))
            text = ", ".join(f"{k} = {v}" for k, v in found.items() if v != usual[k])
            rows.append((f"scaling: {text or 'E = 1'}", "scaling", one(point, values)))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=pathlib.Path)
    parser.add_argument("after", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--rows", nargs="*", default=[], help="words of the rows wanted")
    parser.add_argument("--seconds", type=float, default=1.0, help="a measurement of a bench, 1")
    parser.add_argument("--full", action="store_true", help="also quickstart with its 100 members")
    parser.add_argument("--scaling", action="store_true", help="also the points of the scaling bench")
    parser.add_argument("--events", help="file for the Parquet row")
    parser.add_argument("--likelihood", help="file for the profile row")
    parser.add_argument("--json", type=pathlib.Path, help="keep every time there, after every round")
    arguments = parser.parse_args()
    folders = [arguments.before.resolve(), arguments.after.resolve()]
    with tempfile.TemporaryDirectory() as scratch:
        rows = [
            (name, measure)
            for name, program, measure in listed(arguments, scratch)
            if (not arguments.rows or any(word in name for word in arguments.rows))
            and all((folder / program).is_file() for folder in folders)
        ]
        times = {name: [] for name, _ in rows}
        for number in range(arguments.rounds):
            for name, measure in rows:
                if number == 0:
                    measure(folders[0]), measure(folders[1])
                order = (0, 1) if number % 2 == 0 else (1, 0)
                found = {k: measure(folders[k]) for k in order}
                times[name].append([found[0], found[1]])
            if arguments.json:
                arguments.json.write_text(json.dumps(times))
    print("| row | rounds | after / before | 95 % interval | before, median s |")
    print("|---|---|---|---|---|")
    for name, found in times.items():
        found = np.array(found)
        mean, low, high = interval(found[:, 1] / found[:, 0])
        median = np.median(found[:, 0])
        print(f"| {name} | {len(found)} | {mean:.3f} | {low:.3f} – {high:.3f} | {median:.3g} |")


if __name__ == "__main__":
    sys.exit(main())

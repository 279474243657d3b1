#!/usr/bin/env python3
"""Two builds of this program side by side: is the second slower?

    scripts/before_after.py BEFORE AFTER [--rounds N] [--rows WORD ...]

BEFORE and AFTER are folders with the programs `sideband`, `w4_likelihood` and `read_parquet`
(the benches as `cargo bench --no-run` leaves them). Every round runs both in turn, the order
changing; printed are the mean of the ratios after / before of times (below 1: faster) with its
95 % interval, from the logarithms by Student's t. Rows whose program is missing are left out.
The Parquet row needs EVENTS made by `scripts/peers/read_parquet.py make`, the profile row the
file of `scripts/peers/w4_data.py`. Needs numpy and scipy.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from scipy.stats import t as student

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
    found = lines([folder / "read_parquet", events, "--rounds", "3"])[-1]
    return float(np.median(found["seconds"]))


def gradient(folder):
    return 1.0 / lines([folder / "w4_likelihood", "gradient", "200000", "1"])[-1]["value"]


def profile(folder, data):
    return wall([folder / "w4_likelihood", "profile", data, "21"])


def interval(ratios):
    logs = np.log(ratios)
    half = student.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / len(logs) ** 0.5
    return np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=pathlib.Path)
    parser.add_argument("after", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--rows", nargs="*", default=[], help="words of the rows wanted")
    parser.add_argument("--events", help="file for the Parquet row")
    parser.add_argument("--likelihood", help="file for the profile row")
    arguments = parser.parse_args()
    folders = [arguments.before.resolve(), arguments.after.resolve()]
    with tempfile.TemporaryDirectory() as scratch:
        rows = {
            "quickstart, 10 members": ("sideband", lambda f: quickstart(f, 10, scratch)),
            "quickstart, 100 members": ("sideband", lambda f: quickstart(f, 100, scratch)),
            "likelihood, value and gradient": ("w4_likelihood", gradient),
        }
        if arguments.events:
            rows["Parquet to arrays"] = ("read_parquet", lambda f: parquet(f, arguments.events))
        if arguments.likelihood:
            rows["likelihood, fit and scan"] = ("w4_likelihood", lambda f: profile(f, arguments.likelihood))
        print("| row | rounds | after / before | 95 % interval | before, median s |")
        print("|---|---|---|---|---|")
        for name, (program, measure) in rows.items():
            is_wanted = not arguments.rows or any(word in name for word in arguments.rows)
            if not is_wanted or not all((f / program).is_file() for f in folders):
                continue
            measure(folders[0]), measure(folders[1])
            times = []
            for number in range(arguments.rounds):
                order = (0, 1) if number % 2 == 0 else (1, 0)
                found = {k: measure(folders[k]) for k in order}
                times.append([found[0], found[1]])
            times = np.array(times)
            mean, low, high = interval(times[:, 1] / times[:, 0])
            median = np.median(times[:, 0])
            print(f"| {name} | {len(times)} | {mean:.3f} | {low:.3f} – {high:.3f} | {median:.3g} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())

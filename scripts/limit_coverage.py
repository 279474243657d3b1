#!/usr/bin/env python3
"""Coverage of a signal strength above a background that is learned anew for every data set.

usage: limit_coverage.py [--program PATH] [--out FOLDER] [--experiments N] [--members N]
                         [--epochs N] [--mu MU ...] [--target N] [--source N] [--share SHARE]
                         [--signal N] [--jobs N] [--seed S]

A pseudo-experiment is new events from known densities, not toys of templates:

    2b    x ~ N(0, 1), as many as Poisson(--source)
    4b    x ~ N(s, 1), Poisson(--target): over 2b the ratio is exp(s x - s^2 / 2) everywhere
    both  v = x + noise, y noise, m uniform; m < --share is the control region, above is the signal
          region; the ratio does not depend on m
    HH    v ~ N(1.5, 0.64) in the signal region, Poisson(--signal) for a mu of 1

Networks of x and y learn 2b to 4b in the control region (`method = "reweight"`, --members
bootstrapped members); `method = "limit"` makes templates of v of the finished run and fits the
observed 4b events of the signal region, once for each --mu, whose signal is added to the same
background. The interval of mu is `scans.mu.intervals` of its result. In other arms the exported
workspace is scanned with the parameters of the retraining fixed, those of the normalisation, or
both (`sideband scan --fix`): few events train and many are observed, so that these must not
cover.

Prints coverage at 68.27 and 95.45 % with binomial errors, mean and width of the pulls, spread of
mu-hat and mean error. Every experiment is kept in FOLDER (experiments.jsonl) and is a function of
its number: the same command goes on from there, with more --experiments too. FOLDER/result.json
and FOLDER/figure.svg have the result. Exit code 1 if an arm that fixes nothing is more than three
errors below a level, or the one that fixes both is not.

Members are the replicas whose covariance is the retraining error: five know their own variance to
71 %, and intervals of such errors cover less than they say, as those of Student's t do: in a
Gaussian model of these sizes 0.63 and 0.92 with five members, 0.66 and 0.95 with ten. Needs
numpy and pyarrow.
"""

import argparse
import concurrent.futures
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np

import study
from study import Failed

SLOPE = 0.5
NOISE = 0.5
SIGNAL = (1.5, 0.64)
SIMULATED = 20_000
EDGES = [-9.0, 0.0, 0.8, 1.6, 2.4, 9.0]
MU_BOUNDS = [-3.0, 8.0]
LEVELS = (0.6827, 0.9545)
ARMS = ("all errors", "no retraining", "no normalisation", "neither")
FIRST, LAST = ARMS[0], ARMS[-1]


def settings(options, seed):
    """Configurations of the background and of the limit."""
    head = {"name": "coverage", "seed": seed}
    regions = {
        "cr": {"selection": f"m < {options.share}"},
        "sr": {"selection": f"m >= {options.share}", "blind": True},
    }
    background = {
        "experiment": head | {"method": "reweight"},
        "device": {"threads": 1},
        "data": {
            name: {"path": f"{name}.parquet", "weight": "w", "id": ["event"]}
            for name in ("source", "target")
        },
        "regions": regions,
        "features": {"inputs": ["x", "y"]},
        "model": {"hidden": [8]},
        "training": {
            "region": "cr",
            # replicas share nothing but their events, and stop late: what all have in common, a
            # split or a ratio that is too flat, is in the error of none
            "split": "member",
            "held_out": 0.0,
            "batch": 512,
            "epochs": options.epochs,
            "patience": 30,
            "learning_rate": 0.01,
        },
        "ensemble": {"members": options.members},
        "report": {"bins": 4, "classifier_members": 0},
    }
    limit = {
        "experiment": head | {"method": "limit"},
        "regions": {"sr": {"selection": regions["sr"]["selection"]}},
        "parameters": {"mu": {"nominal": 1.0, "bounds": MU_BOUNDS}},
        "samples": {
            "signal": {"path": "signal.parquet", "weight": "w", "id": ["event"]}
            | {"coefficient": "mu"},
            # all components that there are
            "multijet": {"run": "background", "retraining": {"keep": 1.0, "at_most": 100}},
        },
        "channels": {"sr": {"region": "sr", "observable": "v", "bins": EDGES}},
        "observed": {"path": "observed.parquet"},
        "measurement": {
            "interest": ["mu"],
            "limit": {"test_stat": "q"},
            "scans": [{"parameter": "mu", "points": 9}],
        },
    }
    return background, limit


def events(random, number, mean, m):
    """Events of a density, with masses between two values."""
    x = random.normal(mean, 1.0, number)
    return {
        "x": x,
        "y": random.normal(0.0, 1.0, number),
        "v": x + random.normal(0.0, NOISE, number),
        "m": random.uniform(*m, number),
        "w": np.ones(number),
    }


def signal(random, number, weight, m):
    made = events(random, number, 0.0, m)
    return made | {"v": random.normal(*SIGNAL, number), "w": np.full(number, weight)}


def experiment(options, number):
    """All arms of one data set at all values of mu."""
    random = np.random.default_rng([options.seed, number])
    inside = (options.share, 1.0)
    with tempfile.TemporaryDirectory(prefix="coverage_") as name:
        folder = Path(name)
        background, limit = settings(options, 1 + number)
        study.write_toml(folder / "background.toml", background)
        study.write_toml(folder / "limit.toml", limit)
        source = events(random, random.poisson(options.source), 0.0, (0.0, 1.0))
        target = events(random, random.poisson(options.target), SLOPE, (0.0, 1.0))
        simulated = signal(random, SIMULATED, options.signal / SIMULATED, inside)
        study.write(folder / "source.parquet", 0, **source)
        study.write(folder / "target.parquet", 10**9, **target)
        study.write(folder / "signal.parquet", 2 * 10**9, **simulated)
        study.run(options.program, "background.toml", "background", folder=folder, threads=1)
        open_events = target["m"] >= options.share
        found = []
        for mu in options.mu:
            added = signal(random, random.poisson(mu * options.signal), 1.0, inside)
            observed = {
                key: np.concatenate([values[open_events], added[key]])
                for key, values in target.items()
            }
            study.write(folder / "observed.parquet", 3 * 10**9, **observed)
            found += measured(options, folder, mu)
    return {"number": number, "found": found}


def measured(options, folder, mu):
    """The arms at one value of mu."""
    out = f"limit_{mu}"
    study.run(options.program, "limit.toml", out, folder=folder, threads=1)
    result = study.read_json(folder / out / "measurement.json")
    background = result["backgrounds"][0]
    of_fit = next(p for p in result["fit"]["parameters"] if p["name"] == "mu")
    about = {key: background[key] for key in ("replicas", "components", "spread", "normalisation")}
    sets = result["scans"]["mu"]["intervals"]["profiled"]
    rows = [arm(FIRST, mu, of_fit["value"], sets) | {"background": about}]
    names = background["parameters"]
    retraining = [name for name in names if "_retraining_" in name]
    normalisation = [name for name in names if name.endswith("_normalisation")]
    choices = (retraining, normalisation, retraining + normalisation)
    for name, fixed in zip(ARMS[1:], choices, strict=True):
        found = study.on_workspace(
            options.program,
            "scan",
            folder / out / "workspace.json",
            "--points",
            9,
            fixed=dict.fromkeys(fixed, 0),
            threads=1,
        )
        rows.append(arm(name, mu, found["best_fit"][0], found["intervals"]))
    return rows


def arm(name, mu, best, sets):
    """The intervals of an arm; an end that was not found is nowhere."""

    def ends(level):
        own = next(s["intervals"] for s in sets if abs(s["level"] - level) < 1e-3)
        low = [-math.inf if a is None else a for a, _ in own]
        high = [math.inf if b is None else b for _, b in own]
        return list(zip(low, high, strict=True))

    all_ends = [ends(level) for level in LEVELS]
    (low, high), *_ = all_ends[0]
    covered = [any(a <= mu <= b for a, b in pairs) for pairs in all_ends]
    error = (high - low) / 2.0
    return {
        "arm": name,
        "mu": mu,
        "best": best,
        # towards the truth
        "pull": (best - mu) / (high - best if mu > best else best - low),
        "error": error,
        "covered": covered,
    }


def kept(options):
    """The file of finished experiments, and these; refuses those of other settings."""
    path = options.out / "experiments.jsonl"
    asked = {
        key: getattr(options, key)
        for key in ("members", "epochs", "mu", "target", "source", "share", "signal", "seed")
    }
    if not path.exists():
        path.write_text(json.dumps(asked) + "\n", encoding="utf-8")
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or json.loads(lines[0]) != asked:
        known = lines[0] if lines else "none"
        sys.exit(f"{path} is of other settings: {known}; give another --out")
    done = {}
    for line in lines[1:]:
        try:
            one = json.loads(line)
        except ValueError:
            continue  # cut off where the study was ended
        done[one["number"]] = one
    return path, done


def summary(options, done):
    """A row an arm and mu."""
    rows = []
    for mu in options.mu:
        for name in ARMS:
            own = [
                row
                for one in done.values()
                for row in one.get("found", [])
                if row["arm"] == name and row["mu"] == mu
            ]
            if not own:
                continue
            number = len(own)
            best, pulls = (np.array([row[key] for row in own]) for key in ("best", "pull"))
            finite = pulls[np.isfinite(pulls)]
            rows.append(
                {
                    "mu": mu,
                    "arm": name,
                    "experiments": number,
                    "coverage": [
                        study.share(sum(row["covered"][k] for row in own), number)
                        for k in range(len(LEVELS))
                    ],
                    "bias": [float(best.mean() - mu), float(best.std(ddof=1) / number**0.5)]
                    if number > 1
                    else [float(best.mean() - mu), math.nan],
                    "spread": float(best.std(ddof=1)) if number > 1 else math.nan,
                    "error": float(np.mean([row["error"] for row in own])),
                    "pull_mean": float(finite.mean()),
                    "pull_width": study.rms(finite - finite.mean()),
                }
            )
    return rows


def judged(rows):
    """What is not as it must be."""
    wrong = []
    for row in rows:
        if row["arm"] not in (FIRST, LAST):
            continue
        for level, (value, error) in zip(LEVELS, row["coverage"], strict=True):
            is_below = value < level - 3.0 * error
            if is_below != (row["arm"] == LAST):
                word = "is below" if is_below else "is not below"
                wrong.append(
                    f"mu = {row['mu']:g}, {row['arm']}: {value:.3f} ± {error:.3f} {word} "
                    f"{level} by three errors"
                )
    return wrong


def report(rows):
    head = ["mu", "errors", "experiments", "68.27 %", "95.45 %", "mean of mu-hat − mu"]
    head += ["spread of mu-hat", "mean error", "pull, mean", "width"]
    lines = []
    for row in rows:
        cells = [f"{row['mu']:g}", row["arm"], row["experiments"]]
        cells += [f"{value:.3f} ± {error:.3f}" for value, error in row["coverage"]]
        cells += [f"{row['bias'][0]:+.3f} ± {row['bias'][1]:.3f}"]
        cells += [f"{row[key]:.3f}" for key in ("spread", "error")]
        cells += [f"{row['pull_mean']:+.2f}", "{:.2f} ± {:.2f}".format(*row["pull_width"])]
        lines.append(cells)
    return study.table(head, lines)


def draw(path, rows):
    """Coverage of every arm, at one value of mu beside the other."""

    def place(row):
        values = sorted({row["mu"] for row in rows})
        return ARMS.index(row["arm"]) + 0.1 * values.index(row["mu"])

    series = [
        (f"{100 * level:.2f} %", [(place(row), *row["coverage"][k]) for row in rows])
        for k, level in enumerate(LEVELS)
    ]
    lines = [(f"{level}", [(-0.3, level), (len(ARMS) - 0.5, level)]) for level in LEVELS]
    words = ", ".join(f"{k}: {name}" for k, name in enumerate(ARMS))
    study.figure(path, (words, "coverage of mu"), series, lines)


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    study.common(parser, "limit_coverage")
    add("--experiments", type=int, default=300, help="300")
    add("--members", type=int, default=20, help="of every ensemble, 20")
    add("--epochs", type=int, default=200, help="at most, 200")
    add("--mu", type=float, nargs="+", default=[0.0, 1.0], help="true values, 0 and 1")
    add("--target", type=float, default=3000.0, help="expected 4b events, 3000")
    add("--source", type=float, default=12000.0, help="expected 2b events, 12000")
    add("--share", type=float, default=0.2, help="of the events in the control region, 0.2")
    add("--signal", type=float, default=150.0, help="expected signal events at mu = 1, 150")
    add("--jobs", type=int, default=2, help="experiments at a time, 2")
    add("--seed", type=int, default=18)
    options = study.parsed(parser)
    if min(options.experiments, options.jobs, options.epochs) < 1 or options.members < 2:
        parser.error("--experiments, --jobs and --epochs are at least 1, --members 2")
    if not all(0.0 <= mu < MU_BOUNDS[1] for mu in options.mu) or not 0.0 < options.share < 1.0:
        parser.error(f"--mu is from 0 to below {MU_BOUNDS[1]:g}, --share between 0 and 1")
    return options


def main():
    options = parse()
    path, done = kept(options)
    missing = [number for number in range(options.experiments) if number not in done]

    def one(number):
        try:
            return experiment(options, number)
        except Failed as error:
            return {"number": number, "failed": str(error)}

    with (
        concurrent.futures.ThreadPoolExecutor(options.jobs) as pool,
        path.open("a", encoding="utf-8") as file,
    ):
        # a line that was cut off ends here
        file.write("\n")
        waiting = [pool.submit(one, number) for number in missing]
        for count, future in enumerate(concurrent.futures.as_completed(waiting), 1):
            found = future.result()
            done[found["number"]] = found
            file.write(json.dumps(found) + "\n")
            file.flush()
            if "failed" in found:
                study.say(f"experiment {found['number']}: {found['failed']}")
            elif count % 20 == 0:
                study.say(f"{count} of {len(missing)} experiments")
    # more may be kept than were asked for
    done = {number: one for number, one in done.items() if number < options.experiments}
    failed = [one["failed"] for one in done.values() if "failed" in one]
    if len(failed) == len(done):
        sys.exit(f"no experiment has a result: {failed[0]}")
    rows = summary(options, done)
    found = [row for one in done.values() for row in one.get("found", [])]
    abouts = [row["background"] for row in found if row["arm"] == FIRST]
    means = {key: float(np.mean([about[key] for about in abouts])) for key in abouts[0]}
    wrong = judged(rows)
    print(report(rows))
    print(
        f"\n{len(done) - len(failed)} experiments, {len(failed)} without a result. Of the "
        f"background, in the mean: retraining {100 * means['spread']:.1f} % of the yield from "
        f"{means['replicas']:.0f} replicas, {means['components']:.1f} components; normalisation "
        f"{100 * means['normalisation']:.1f} %."
    )
    for text in wrong:
        print(f"- {text}")
    result = {"rows": rows, "background": means, "failed": failed, "wrong": wrong}
    study.write_json(options.out / "result.json", result)
    draw(options.out / "figure.svg", rows)
    return 1 if wrong or len(failed) > 0.01 * len(done) else 0


if __name__ == "__main__":
    sys.exit(main())

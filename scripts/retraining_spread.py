#!/usr/bin/env python3
"""The retraining error of a limit: over replicas on fixed data, and as its parameters have it.

usage: retraining_spread.py [--program PATH] [--out FOLDER] [--run RUN] [--members N]
                            [--keep SHARE ...] [--jobs N]

The background is configs/limit_background.toml (--run: a finished run of it), the model
configs/limit.toml at kappa_lambda = 1 with the signal region opened, mu of both signs. Compared:

    replicas    rms about their mean of the mu-hat that fits to the observed events give, each with
                the histograms of one replica as background and the retraining parameters fixed at
                0. All other shifts and the relative errors of the bins stay
    unprofiled  the joint impact of the retraining parameters on mu-hat: fits with one of them at
                +1 and -1 and the others at 0, half the differences added in quadrature
    profiled    what the error of mu loses when they are frozen (`sideband impacts`)

Replicas' histograms are filled here, from predictions/source.parquet and the files of the run,
each normalised to its own resampling of the source, whose numbers are computed anew. The
nominal histogram of the same events is held against templates.json, and for every --keep the sum
of the products of the shifts in workspace.json, with what is left in the errors of bins, against
the covariance of the replicas.

Prints a table with a row for each --keep; FOLDER/result.json and FOLDER/figure.svg have the
result. Exit code 1 if a variance of a bin is not that of the
replicas, if with --keep 1 the covariance is not, or if replicas and the unprofiled impact differ
by more than two errors there. Needs numpy and pyarrow.
"""

import argparse
import concurrent.futures
import copy
import math
import sys
from pathlib import Path

import numpy as np

import study
from study import Failed

SAMPLE = "multijet"
POINT = {"control": "cr1", "tags": "4b"}
ENSEMBLE = ",".join(f"{axis}={value}" for axis, value in POINT.items())
# Of the streams of random numbers.
BOOTSTRAP = 4
GAMMA = np.uint64(0x9E3779B97F4A7C15)
SAME = 1e-6
"""Largest relative difference of numbers that are the same."""


def mix(z):
    """The finaliser of SplitMix64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return np.array([value], dtype=np.uint64)


def event_keys(ids, namespace=""):
    """Keys of events by one column of integers."""
    return mix((mix(fnv1a(namespace)) ^ ids.astype(np.uint64)) + GAMMA)


def threefry(key, counter):
    """Threefry-2x32 with 20 rounds, of words of 64 bits as arrays."""
    low = np.uint64(0xFFFFFFFF)
    k0, k1 = ((key >> np.uint64(s) & low).astype(np.uint32) for s in (0, 32))
    schedule = (k0, k1, np.uint32(0x1BD11BDA) ^ k0 ^ k1)
    x0, x1 = ((counter >> np.uint64(s) & low).astype(np.uint32) for s in (0, 32))
    x0, x1 = x0 + schedule[0], x1 + schedule[1]
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    for group in range(5):
        for turn in rotations[group % 2]:
            x0 = x0 + x1
            x1 = (x1 << np.uint32(turn) | x1 >> np.uint32(32 - turn)) ^ x0
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x0.astype(np.uint64) | x1.astype(np.uint64) << np.uint64(32)


def word(value):
    return np.array([value], dtype=np.uint64)


def resampled(seed, replica, keys):
    """How often a replica's resampling has each event."""
    # the two words of the root's counter say SIDE and BAND
    root = threefry(word(seed), word(0x42414E4453494445))
    own = threefry(threefry(root, word(BOOTSTRAP)), word(replica))
    uniform = (threefry(own, keys) >> np.uint64(11)).astype(float) / 2.0**53
    probabilities = np.exp(-1.0) / np.array([math.factorial(k) for k in range(19)], dtype=float)
    return np.searchsorted(np.cumsum(probabilities)[:18], uniform, side="right")


class Background:
    """Histograms of a finished ensemble, replica by replica, channel after channel."""

    def __init__(self, run, channels):
        folder = run / "ensembles" / ENSEMBLE
        self.channels = channels
        manifest = study.read_json(folder / "manifest.json")
        predictions = study.columns(folder / "predictions/source.parquet")
        config = study.shipped("limit_background")
        source = config["data"]["source"]
        events = study.columns(source["path"])
        events = {k: v[events["n_btag"] == 2] for k, v in events.items()}
        ids, wanted = (x["event_id"].astype(np.int64) for x in (events, predictions))
        order = np.argsort(ids)
        places = np.searchsorted(ids, wanted, sorter=order)
        rows = order[np.minimum(places, len(ids) - 1)]
        if not np.array_equal(ids[rows], wanted):
            raise Failed(f"{run} is of other events than {source['path']}")
        seen = study.observables({key: values[rows] for key, values in events.items()})
        places = np.where(predictions["in_sr"], channels.places(seen), -1)
        self.nominal = channels.fill(places, predictions["nominal"])
        self.statistical = channels.fill(places, predictions["nominal"] ** 2)
        keys, trained = event_keys(wanted), predictions[f"in_{POINT['control']}"]
        replicas = []
        for member in manifest["members"]:
            weights = predictions[f"member_{member:04}"].astype(float)
            times = resampled(manifest["seed"], member, keys[trained])
            factor = weights[trained].sum() / (weights[trained] * times).sum()
            replicas.append(factor * channels.fill(places, weights))
        self.replicas = np.array(replicas)
        self.covariance = np.cov(self.replicas.T)


def of_background(workspace, channels):
    """Shifts of all bins by name, and the errors of the bins, channel after channel."""
    shifts, errors = {}, []
    size = len(channels.names) * channels.bins
    for channel in workspace["channels"]:
        first = channels.names.index(channel["name"]) * channels.bins
        sample = next(s for s in channel["samples"] if s["name"] == SAMPLE)
        for modifier in sample["modifiers"]:
            name, data = modifier["name"], modifier["data"]
            if modifier["type"] == "staterror":
                errors.append((first, data))
            if modifier["type"] == "histosys" and "_retraining_" in name:
                shift = shifts.setdefault(name, np.zeros(size))
                half = (np.array(data["hi_data"]) - np.array(data["lo_data"])) / 2.0
                shift[first : first + channels.bins] = half
    return shifts, np.concatenate([data for _, data in sorted(errors)])


def with_background(workspace, contents, channels):
    """The workspace with other contents of the background, all shifts of bins as they were."""
    made = copy.deepcopy(workspace)
    split = channels.split(contents)
    for channel in made["channels"]:
        new = np.array(split[channel["name"]])
        sample = next(s for s in channel["samples"] if s["name"] == SAMPLE)
        old = np.array(sample["data"])
        sample["data"] = new.tolist()
        for modifier in sample["modifiers"]:
            data = modifier["data"]
            if modifier["type"] == "histosys":
                modifier["data"] = {k: (np.array(v) + new - old).tolist() for k, v in data.items()}
            elif modifier["type"] == "staterror":
                ratio = np.divide(new, old, out=np.ones_like(old), where=old > 0.0)
                modifier["data"] = (np.array(data) * ratio).tolist()
    return made


class Study:
    """One setting of `retraining.keep` on the same background and data."""

    def __init__(self, options, background, keep):
        self.options, self.background = options, background
        self.folder = options.out / f"keep_{keep:g}"
        self.folder.mkdir(parents=True, exist_ok=True)
        tables = {"run": str(options.run), "retraining": {"keep": keep, "at_most": 100}}
        config = study.limit_on_hh(tables)
        path = study.write_toml(self.folder / "limit.toml", config)
        out = study.run(options.program, path, self.folder / "limit")
        self.workspace = study.read_json(out / "workspace.json")
        self.result = study.read_json(out / "measurement.json")["backgrounds"][0]
        templates = study.read_json(out / "templates.json")
        channels = background.channels
        own = [templates[name]["processes"][SAMPLE] for name in channels.names]
        contents = np.concatenate([process["contents"] for process in own])
        if not np.allclose(contents, background.nominal, rtol=SAME, atol=SAME):
            raise Failed("the histogram of the run's events is not that of templates.json")
        self.shifts, self.errors = of_background(self.workspace, channels)

    def covariances(self):
        """Largest differences from the replicas: of variances, relative, and of all entries, in
        units of both bins' deviations."""
        shifts = np.array(list(self.shifts.values()))
        own, exact = shifts.T @ shifts, self.background.covariance
        deviations = np.sqrt(np.diag(exact))
        filled = deviations > 0.0
        left = self.errors**2 - self.background.statistical
        variances = (np.diag(own) + left)[filled] / np.diag(exact)[filled]
        scale = np.outer(deviations, deviations)[np.ix_(filled, filled)]
        both = (own + np.diag(left) - exact)[np.ix_(filled, filled)] / scale
        return float(np.abs(variances - 1.0).max()), float(np.abs(both).max())

    def fit(self, workspace, name, fixed):
        """mu-hat and its error."""
        path = self.folder / f"{name}.json"
        study.write_json(path, workspace)
        best = study.on_workspace(self.options.program, "fit", path, fixed=fixed, threads=1)
        path.unlink()
        mu = best["parameters"]["mu"]
        return mu["value"], mu["error"]

    def all_fits(self):
        """mu-hat of the replicas, and of every retraining parameter at +1 and -1."""
        none = dict.fromkeys(self.shifts, 0)
        asked = [
            (with_background(self.workspace, r, self.background.channels), f"replica_{k}", none)
            for k, r in enumerate(self.background.replicas)
        ]
        asked += [
            (self.workspace, f"{name}_{side}", none | {name: side})
            for name in self.shifts
            for side in (1, -1)
        ]
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            found = list(pool.map(lambda one: self.fit(*one)[0], asked))
        count = len(self.background.replicas)
        return np.array(found[:count]), np.reshape(found[count:], (-1, 2))

    def profiled(self):
        """The error of mu, and what it loses with the retraining frozen."""
        path = self.folder / "workspace.json"
        study.write_json(path, self.workspace)
        groups = self.folder / "groups.toml"
        groups.write_text(f'retraining = ["{SAMPLE}_retraining_*"]\n', encoding="utf-8")
        found = study.on_workspace(self.options.program, "impacts", path, "--groups", groups)
        return found["error"], next(
            g.get("impact") for g in found["groups"] if g["name"] == "retraining"
        )

    def row(self, keep):
        replicas, sides = self.all_fits()
        spread = float(replicas.std(ddof=1))
        spread_error = spread / math.sqrt(2.0 * (len(replicas) - 1))
        halves = (sides[:, 0] - sides[:, 1]) / 2.0
        error, impact = self.profiled()
        variances, covariance = self.covariances()
        return {
            "keep": keep,
            "components": len(self.shifts),
            "share": self.result["share"],
            "lost_correlation": self.result["lost_correlation"],
            "variances": variances,
            "covariance": covariance,
            "replicas": [spread, spread_error],
            "unprofiled": float(np.sqrt(np.sum(halves**2))),
            "profiled": impact,
            "error": error,
            "mu": replicas.tolist(),
            "nominal": self.fit(self.workspace, "nominal", dict.fromkeys(self.shifts, 0))[0],
        }


def judged(rows):
    """What is not as it must be."""
    wrong = []
    for row in rows:
        if row["variances"] > 1e-4:
            wrong.append(f"keep = {row['keep']:g}: a variance is {row['variances']:.1e} off")
        if row["keep"] < 1.0:
            continue
        if row["covariance"] > 1e-4 and row["lost_correlation"] < 1e-6:
            wrong.append(f"keep = 1: the covariance is {row['covariance']:.1e} off")
        spread, error = row["replicas"]
        if abs(spread - row["unprofiled"]) > 2.0 * error:
            wrong.append(
                f"keep = 1: rms of the replicas {spread:.3f} ± {error:.3f}, impact of the "
                f"parameters {row['unprofiled']:.3f}"
            )
    return wrong


def report(rows):
    head = ["keep", "components", "share [%]", "largest lost correlation", "variances off by"]
    head += ["covariance off by", "rms of mu-hat over replicas", "unprofiled impact"]
    head += ["profiled impact", "error of mu"]
    cells = []
    for row in rows:
        impact, error = ("–" if row[k] is None else f"{row[k]:.3f}" for k in ("profiled", "error"))
        cells.append(
            [
                f"{row['keep']:g}",
                row["components"],
                f"{100.0 * row['share']:.1f}",
                f"{row['lost_correlation']:.2g}",
                f"{row['variances']:.1e}",
                f"{row['covariance']:.1e}",
                "{:.3f} ± {:.3f}".format(*row["replicas"]),
                f"{row['unprofiled']:.3f}",
                impact,
                error,
            ]
        )
    return study.table(head, cells)


def draw(path, row):
    """mu-hat of every replica, and the impacts about that of the nominal background."""
    points = [(k, mu, 0.0) for k, mu in enumerate(row["mu"])]
    ends = (-1.0, float(len(points)))
    lines = [
        (name, [(x, row["nominal"] + sign * row[key]) for x in ends])
        for key, name, sign in (
            ("unprofiled", "unprofiled impact about the nominal mu-hat", 1.0),
            ("unprofiled", "", -1.0),
        )
    ]
    study.figure(path, ("replica", "mu-hat"), [("replicas", points)], lines)


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    study.common(parser, "retraining_spread")
    add("--run", type=Path, help="a finished run of configs/limit_background.toml")
    add("--members", type=int, default=40, help="of each ensemble, without --run: 40")
    add("--keep", type=float, nargs="+", default=[1.0, 0.99], metavar="SHARE",
        help="samples.multijet.retraining.keep, 1 and 0.99")  # fmt: skip
    add("--jobs", type=int, default=2, help="fits at a time, 2")
    options = study.parsed(parser)
    if not all(0.0 < keep <= 1.0 for keep in options.keep):
        parser.error("--keep is above 0 and at most 1")
    if options.members < 4 or options.jobs < 1:
        parser.error("--members is at least 4, --jobs 1")
    return options


def main():
    options = parse()
    try:
        if options.run is None:
            config = study.shipped("limit_background")
            config["ensemble"]["members"] = options.members
            path = study.write_toml(options.out / "background.toml", config)
            options.run = study.run(options.program, path, options.out / "background")
        options.run = options.run.resolve()
        channels = study.Channels(study.shipped("limit"))
        background = Background(options.run, channels)
        rows = []
        for keep in options.keep:
            rows.append(Study(options, background, keep).row(keep))
            study.say(f"keep = {keep:g}: done")
    except Failed as error:
        sys.exit(str(error))
    wrong = judged(rows)
    print(report(rows))
    for text in wrong:
        print(f"- {text}")
    study.write_json(options.out / "result.json", {"rows": rows, "wrong": wrong})
    draw(options.out / "figure.svg", rows[0])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

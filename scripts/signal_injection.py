#!/usr/bin/env python3
"""Signal in the events that a background is learned from: mu-hat against what was injected.

usage: signal_injection.py [--program PATH] [--out FOLDER] [--methods NAME ...]
                           [--multiples K ...] [--experiments N] [--members N] [--flows N]
                           [--threads N] [--seed S]

HH events (those of tests/data/signal, with all columns of tests/data/collisions made of their
jets) are added to the 4b events everywhere: signal region, control regions and mass plane. How
often each is taken is a Poisson number of mean mu times its weight, at 0, 1 and 2 times the
expected limit on mu without them. The background is then learned anew from these events, and mu
fitted to those in the signal region, in the categories of configs/limit.toml at
kappa_lambda = 1:

    reweighting    configs/limit_background.toml for 4b in both control regions, its 3b ensembles
                   (no signal) for the non-closure, and configs/limit.toml, whose own fit it is
    interpolation  configs/mass_plane.toml without the top veto; its sampled events are filled
                   into templates here, members as shifts whose covariance is theirs, the errors of
                   the plane and of the normalisation as errors of the rate, and `sideband fit`
                   fits that workspace

Beside the fit with the background that was learned with the signal stands that of the same events
with the background of the events without it: what the two differ by is what the background took
in. `realised`: the mu of the signal events that are in the signal region, whose number fluctuates.

Prints a table of the means over experiments, each with other signal events, initial weights and
resamplings. Runs are kept in FOLDER, and the same command goes on from them; FOLDER/result.json
and FOLDER/figure.svg have the result. Needs numpy and pyarrow.
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import generate_collisions
import make_signal
import study
from study import Failed

COLLISIONS = study.ROOT / "tests/data/collisions"
SIGNAL = study.ROOT / "tests/data/signal/ggf_hh.parquet"
WEIGHT = "w_kl1"
TAGS = {"4b": "n_btag >= 4", "3b": "n_btag == 3"}


def signal_events():
    """The shipped signal events with the columns of the collisions."""
    jets, columns, kept, *_ = make_signal.simulate(make_signal.EVENTS, make_signal.SEED)
    pt, eta, phi = generate_collisions.ptep(jets[kept][..., [1, 2, 3, 0]])
    mass = generate_collisions.mass(jets[kept][..., [1, 2, 3, 0]])
    order = np.argsort(-pt, axis=1, kind="stable")
    padding = ((0, 0), (0, generate_collisions.NJMAX - 4))
    of_jets = [
        np.pad(np.take_along_axis(values, order, 1), padding) for values in (pt, eta, phi, mass)
    ]
    flavours = np.pad(np.full((len(kept), 4), 5), padding)
    tagged, four = np.ones(len(kept), bool), np.full(len(kept), 4)
    random = np.random.default_rng(make_signal.SEED)
    made, places, _ = generate_collisions.analyse(*of_jets, flavours, four, tagged, random)
    file = study.columns(SIGNAL)
    is_same = len(file[WEIGHT]) == len(kept) == len(places) and all(
        np.allclose(file[name], made[name], rtol=1e-4, atol=1e-4)
        and np.array_equal(file[name], columns[name][kept].astype(np.float32))
        for name in ("m_h1", "m_h2", "m_hh", "deta_hh")
    )
    if not is_same:
        sys.exit(f"{SIGNAL} is not what scripts/make_signal.py makes")
    return made | {"weight": np.ones(len(kept)), "yield": file[WEIGHT].astype(float)}


def contaminated(path, signal, mu, scale, random):
    """Writes the 4b events with signal among them; the numbers of the signal events that are."""
    table = pq.read_table(COLLISIONS / "qcd_4b.parquet")
    times = random.poisson(mu * scale * signal["yield"])
    rows = np.repeat(np.arange(len(times)), times)
    # ids that neither the collisions nor the simulated signal have
    ids = np.arange(len(rows), dtype=np.uint64) + (np.uint64(10) << np.uint64(40))
    more = {name: values[rows] for name, values in signal.items()} | {"event_id": ids}
    added = pa.table({f.name: pa.array(more[f.name]).cast(f.type) for f in table.schema})
    pq.write_table(pa.concat_tables([table, added.cast(table.schema)]), path)
    return rows


class Method:
    """A way to a background, and a fit above it."""

    def __init__(self, options, signal):
        self.options, self.signal = options, signal
        self.folder = options.out / self.name
        self.limit = study.limit_on_hh({})
        self.channels = study.Channels(self.limit)
        self.scale = self.limit["samples"]["ggf_1"]["scale"]

    def run(self, config, folder):
        """Runs a configuration in a folder of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        path = study.write_toml(folder / "config.toml", config)
        return study.run(self.options.program, path, folder / "run", threads=self.options.threads)

    def in_region(self, events):
        """The bins of the signal region's events; -1 of the others."""
        seen = study.observables(events)
        return np.where(seen["x_hh"] < 1.6, self.channels.places(seen), -1)

    def realised(self, rows):
        """Signal events in the channels, over their mean for a mu of 1."""
        places = self.in_region(self.signal)
        mean = self.scale * self.signal["yield"][places >= 0].sum()
        return float(np.sum(places[rows] >= 0) / mean)


class Reweighting(Method):
    name = "reweighting"

    def ensembles(self, tags, target, folder, seed):
        """Both control regions for one target."""
        words = {"${tags.file}": tags, "${tags.selection}": TAGS[tags], "${tags}": tags}
        config = study.replaced(study.shipped("limit_background"), words)
        del config["matrix"]["tags"]
        config["data"]["target"]["path"] = str(target)
        config["ensemble"]["members"] = self.options.members
        config["experiment"]["seed"] = seed
        return self.run(config, folder)

    def background(self, data, folder, seed):
        return self.ensembles("4b", data, folder / "background", seed)

    def fit(self, background, data, folder):
        known = self.ensembles(
            "3b", COLLISIONS / "qcd_3b.parquet", self.folder / "nonclosure", self.options.seed
        )
        point = {"control": "cr1"}
        sample = {
            "run": str(background),
            "point": point,
            "nonclosure": {
                "run": str(known),
                "point": point,
                "variation": {"control": "cr2"},
            },
        }
        config = study.limit_on_hh(sample)
        config["observed"]["path"] = str(data)
        result = study.read_json(self.run(config, folder) / "measurement.json")
        mu = next(p for p in result["fit"]["parameters"] if p["name"] == "mu")
        limit = result["limit"]
        if not limit.get("expected"):
            raise Failed(f"{folder}: no expected limit: {limit.get('reason')}")
        return {
            "mu": mu["value"],
            "error": mu["error"],
            "expected": limit["expected"][2],
            "background": result["backgrounds"][0]["expected"][0],
        }


class Interpolation(Method):
    name = "interpolation"

    def background(self, data, folder, seed):
        config = study.shipped("mass_plane")
        config["data"]["target"]["path"] = str(data)
        config["regions"]["sr"]["selection"] = self.limit["regions"]["sr"]["selection"]
        config["ensemble"]["members"] = self.options.flows
        config["experiment"]["seed"] = seed
        return self.run(config, folder / "background")

    def templates(self, background):
        """Contents, variances, those of each member, and relative errors of the rate."""
        samples = study.columns(background / "predictions/samples.parquet")
        places = np.where(samples["in_sr"], self.channels.places(study.observables(samples)), -1)
        nominal = self.channels.fill(places, samples["nominal"])
        variances = self.channels.fill(places, samples["nominal"] ** 2)
        names = sorted(name for name in samples if name.startswith("member_"))
        members = np.array(
            [self.channels.fill(places, samples[name].astype(float)) for name in names]
        )
        metrics = study.read_json(background / "metrics.json")
        yields = metrics["regions"]["sr"]["yields"]
        if abs(nominal.sum() / yields["after"] - 1.0) > 0.02:
            raise Failed(f"{background}: {nominal.sum():g} sampled events in the channels, "
                         f"{yields['after']:g} in the region")  # fmt: skip
        rates = {
            name: value / yields["after"]
            for name, value in yields["components"].items()
            # members have shifts of their own
            if name != "members" and value > 0.0
        }
        return nominal, variances, members, rates

    def workspace(self, background, data):
        """HistFactory, as JSON."""
        nominal, variances, members, rates = self.templates(background)
        shifts = (members - nominal) / math.sqrt(len(members) - 1.0)
        simulated = study.columns(SIGNAL)
        weights = self.scale * simulated[WEIGHT].astype(float)
        signal = self.channels.split(self.channels.fill(self.in_region(simulated), weights))
        events = study.columns(data)
        counts = np.where(events["n_btag"] >= 4, events["weight"].astype(float), 0.0)
        observed = self.channels.split(self.channels.fill(self.in_region(events), counts))
        low, high = self.limit["systematics"]["signal_rate"]["rates"]["ggf_1"]

        def modifier(name, kind, data):
            return {"name": name, "type": kind, "data": data}

        split = self.channels.split
        contents, errors = split(nominal), split(np.sqrt(variances))
        sides = [(split(nominal - shift), split(nominal + shift)) for shift in shifts]

        def channel(name):
            of_signal = [
                modifier("mu", "normfactor", None),
                modifier("signal_rate", "normsys", {"lo": low, "hi": high}),
            ]
            own = [
                modifier(f"member_{k}", "histosys", {"lo_data": lo[name], "hi_data": hi[name]})
                for k, (lo, hi) in enumerate(sides)
            ]
            own += [
                modifier(f"multijet_{key}", "normsys", {"lo": 1.0 - e, "hi": 1.0 + e})
                for key, e in rates.items()
            ]
            own.append(modifier(f"staterror_{name}", "staterror", errors[name]))
            samples = [("signal", signal[name], of_signal), ("multijet", contents[name], own)]
            keys = ("name", "data", "modifiers")
            return {"name": name, "samples": [dict(zip(keys, s, strict=True)) for s in samples]}

        mu = {"name": "mu", "inits": [1.0], "bounds": [study.MU_BOUNDS]}
        return {
            "channels": [channel(name) for name in self.channels.names],
            "observations": [{"name": n, "data": observed[n]} for n in self.channels.names],
            "measurements": [{"name": self.name, "config": {"poi": "mu", "parameters": [mu]}}],
            "version": "1.0.0",
        }, nominal.sum()

    def fit(self, background, data, folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "workspace.json"
        workspace, total = self.workspace(background, data)
        study.write_json(path, workspace)
        program, threads = self.options.program, self.options.threads
        best = study.on_workspace(program, "fit", path, threads=threads)
        limit = study.on_workspace(program, "limit", path, "--test-stat", "q", threads=threads)
        mu = best["parameters"]["mu"]
        return {
            "mu": mu["value"],
            "error": mu["error"],
            "expected": limit["upper_limit"]["expected"][2],
            "background": float(total),
        }


METHODS = {method.name: method for method in (Reweighting, Interpolation)}


def injected(method, options):
    """Rows of a method, one an experiment and multiple of the expected limit."""
    clean = COLLISIONS / "qcd_4b.parquet"
    unit, rows = None, []
    for number in range(options.experiments):
        folder, seed = method.folder / f"{number}", options.seed + number
        base = method.background(clean, folder / "0", seed)
        without = method.fit(base, clean, folder / "0" / "fit")
        # of the first experiment, so that all inject the same
        unit = unit or without["expected"]
        for multiple in options.multiples:
            mu, own = multiple * unit, folder / f"{multiple:g}"
            row = {"method": method.name, "experiment": number, "multiple": multiple}
            if multiple == 0.0:
                found = kept = without
                realised = 0.0
            else:
                own.mkdir(parents=True, exist_ok=True)
                data = own / "4b.parquet"
                random = np.random.default_rng([options.seed, number, round(1000 * multiple)])
                drawn = contaminated(data, method.signal, mu, method.scale, random)
                realised = method.realised(drawn)
                again = method.background(data, own, seed)
                found = method.fit(again, data, own / "fit")
                kept = method.fit(base, data, own / "fit_without")
            row |= {"injected": mu, "realised": realised, "without": without}
            rows.append(row | {"learned_with": found, "learned_without": kept})
            study.say(
                f"{method.name}, {number}: injected {mu:.2f}, fitted {found['mu']:.2f}, with the "
                f"background of no signal {kept['mu']:.2f}"
            )
    return rows


def mean(values):
    """Mean and its error, which is nan of one value."""
    values = np.array([math.nan if value is None else value for value in values], dtype=float)
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else math.nan
    return float(values.mean()), float(error)


def summary(rows):
    """A line a method and multiple: means over experiments."""
    lines = []
    for method, multiple in dict.fromkeys((row["method"], row["multiple"]) for row in rows):
        own = [r for r in rows if (r["method"], r["multiple"]) == (method, multiple)]

        def of(value, own=own):
            return mean([value(row) for row in own])

        line = {
            "method": method,
            "multiple": multiple,
            "injected": own[0]["injected"],
            "experiments": len(own),
            "realised": of(lambda r: r["realised"]),
            "mu": of(lambda r: r["learned_with"]["mu"]),
            "error": of(lambda r: r["learned_with"]["error"])[0],
            "gained": of(lambda r: r["learned_with"]["mu"] - r["without"]["mu"]),
            "gained_without": of(lambda r: r["learned_without"]["mu"] - r["without"]["mu"]),
            "background": of(
                lambda r: r["learned_with"]["background"] / r["without"]["background"] - 1.0
            ),
        }
        ideal = line["gained_without"][0]
        line["taken_in"] = 1.0 - line["gained"][0] / ideal if multiple > 0.0 and ideal else None
        lines.append(line)
    return lines


def shown(value, scale=1.0, digits=2, sign=""):
    """A mean with its error."""
    text = f"{scale * value[0]:{sign}.{digits}f}"
    return text if math.isnan(value[1]) else f"{text} ± {scale * value[1]:.{digits}f}"


def report(lines):
    head = ["method", "times the expected limit", "mu injected", "realised", "mu-hat", "its error"]
    head += ["mu-hat less that of no signal", "the same, background learned without"]
    head += ["taken in [%]", "background yield [%]"]
    cells = []
    for line in lines:
        taken = line["taken_in"]
        cells.append(
            [
                line["method"],
                f"{line['multiple']:g}",
                f"{line['injected']:.2f}",
                shown(line["realised"]),
                shown(line["mu"]),
                f"{line['error']:.2f}",
                shown(line["gained"], sign="+"),
                shown(line["gained_without"], sign="+"),
                "–" if taken is None else f"{100.0 * taken:.0f}",
                shown(line["background"], 100.0, sign="+"),
            ]
        )
    return study.table(head, cells)


def draw(path, lines):
    series = []
    for method in dict.fromkeys(line["method"] for line in lines):
        own = [line for line in lines if line["method"] == method]
        for key, word in (("gained", "learned with it"), ("gained_without", "learned without")):
            points = [
                (line["injected"], line[key][0], 0.0 if math.isnan(line[key][1]) else line[key][1])
                for line in own
            ]
            series.append((f"{method}, background {word}", points))
    last = max(line["injected"] for line in lines)
    diagonal = [("as injected", [(0.0, 0.0), (last, last)])]
    study.figure(path, ("mu injected", "mu-hat less that of no signal"), series, diagonal)


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    study.common(parser, "signal_injection")
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME",
        help=f"of {', '.join(METHODS)}; all of them")  # fmt: skip
    add("--multiples", type=float, nargs="+", default=[0.0, 1.0, 2.0], metavar="K",
        help="of the expected limit, 0, 1 and 2")  # fmt: skip
    add("--experiments", type=int, default=3, help="3")
    add("--members", type=int, default=20, help="of a reweighting, 20")
    add("--flows", type=int, default=10, help="members of an interpolation, 10")
    add("--threads", type=int, default=2, help="2")
    add("--seed", type=int, default=20240613)
    options = study.parsed(parser)
    if min(options.experiments, options.threads) < 1 or min(options.members, options.flows) < 3:
        parser.error("--experiments and --threads are at least 1, --members and --flows 3")
    if min(options.multiples) < 0.0:
        parser.error("--multiples are not negative")
    return options


def main():
    options = parse()
    signal = signal_events()
    rows, failed = [], []
    for name in options.methods:
        try:
            rows += injected(METHODS[name](options, signal), options)
        except Failed as error:
            failed.append(f"{name}: {error}")
            study.say(failed[-1])
    if not rows:
        return 1
    lines = summary(rows)
    print(report(lines))
    for text in failed:
        print(f"- without a result: {text}")
    study.write_json(options.out / "result.json", {"rows": rows, "means": lines, "failed": failed})
    draw(options.out / "figure.svg", lines)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

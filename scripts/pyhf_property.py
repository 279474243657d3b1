#!/usr/bin/env python3
"""Random small measurements, fitted by sideband and by pyhf through the exported workspace.

    scripts/pyhf_property.py [--program PATH] [--number N] [--first K] [--seed SEED] [--keep FOLDER]

Every measurement has random processes, systematic uncertainties of rate and shape with all
codes that pyhf has, one to three channels, norm factors, bounds, fixed parameters, a
luminosity, coordinates, empty bins and bins of negative weights. What sideband's curve of
histograms alone says (best fit, error, upper limit) must be what the likelihood of pyhf says,
within 1e-4 of the error. The minimum of pyhf's likelihood is found by Newton's method from
where pyhf's own fit ends, which stops too early for that. CLs follow the formulae of
Eur. Phys. J. C 71 (2011) 1554 (equations 52 and 66), as pyhf's asymptotic calculator does, with
Asimov data by pyhf's model.

Exit code 0 if all agree, 1 if one does not, 77 if a package is missing
(`pip install pyhf pyarrow`). Tried with pyhf 0.7.6.
"""

import argparse
import concurrent.futures
import itertools
import json
import math
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import pyhf
    from scipy.optimize import brentq
    from scipy.stats import norm
except ImportError as error:
    print(f"no module {error.name}: pip install pyhf pyarrow", file=sys.stderr)
    sys.exit(77)

# of the error of the parameter
TOLERANCE = 1e-4
CONFIG = """
[experiment]
name = "random"
method = "measure"
[device]
threads = 1
[regions.all]
selection = "reg == 0"
{regions}
{parameters}
{samples}
{systematics}
{channels}
{observed}
[features]
inputs = ["x"]
[model]
hidden = [4]
[training]
region = "all"
epochs = 1
batch = 256
held_out = 0.3
[ensemble]
members = 1
bootstrap = false
[measurement]
interest = ["mu"]
reference = ["B0"]
scan_points = 5
fixed = {fixed}
limit = {{ confidence_level = 0.95, test_stat = "{statistic}" }}
[report]
classifier_members = 0
"""


class Measurement:
    """One random measurement: its samples and configuration."""

    def __init__(self, rng, folder):
        self.rng, self.folder = rng, folder
        self.channels = int(rng.integers(1, 4))
        self.systematics, self.coefficients = [], {}
        self.fixed = []
        self.parameters()
        self.samples()
        self.nuisances()
        self.write()

    def parameters(self):
        rng = self.rng
        self.statistic = "q" if rng.random() < 0.3 else "qtilde"
        low = -0.5 if self.statistic == "q" else 0.0
        root = self.statistic == "qtilde" and rng.random() < 0.3
        table = {"mu": {"nominal": 1.0, "bounds": [low, float(rng.choice([10.0, 25.0]))]}}
        if root:
            table["mu"]["fit"] = '"sqrt"'
        if rng.random() < 0.5:
            table["k"] = {"nominal": 1.0, "bounds": [0.5, 2.0]}
            if rng.random() < 0.4:
                self.fixed.append("k")
        if rng.random() < 0.4:
            table["lumi"] = {"nominal": 1.0, "bounds": [0.5, 1.5], "constraint": [1.0, 0.03]}
            if rng.random() < 0.3:
                self.fixed.append("lumi")
        self.table = table

    def events(self, n, loc, total, first):
        rng = self.rng
        w = np.full(n, total / n)
        if rng.random() < 0.3:
            w *= np.where(rng.random(n) < 0.1, -0.3, 1.0)
            w *= total / w.sum()
        z = np.clip(rng.normal(loc, 1.0, n), -3.99, 3.99)
        columns = {
            # the same support for all
            "x": rng.beta(2.0 + max(loc, 0.0), 2.0, n),
            "z": z,
            "reg": np.arange(n) % (self.channels + 1),
            "w": w,
            "event": np.arange(first, first + n),
        }
        for number in range(3):
            rate, slope = rng.uniform(-0.15, 0.15), rng.uniform(-0.06, 0.06)
            columns[f"w{number}u"] = w * (1 + rate + slope * z)
            columns[f"w{number}d"] = w * (1 - 0.8 * rate - slope * z)
        return columns

    def samples(self):
        rng = self.rng
        n = 300 * (self.channels + 1)
        self.data = {"S": self.events(n, 1.2, (self.channels + 1) * rng.uniform(15, 60), 0)}
        names = ["B0", "B1"][: int(rng.integers(1, 3))]
        for number, name in enumerate(names):
            total = (self.channels + 1) * rng.uniform(100, 400)
            self.data[name] = self.events(n, -0.5 * number, total, (number + 1) * 10**6)
        self.coefficients = {name: "1" for name in self.data}
        self.coefficients["S"] = "mu"
        if "k" in self.table:
            self.coefficients["B0"] = "k"
        if "lumi" in self.table:
            # a factor of its own process: products are no normfactors
            self.coefficients[names[-1]] = "lumi"
            if len(names) == 1:
                self.table.pop("k", None)
                self.fixed = [name for name in self.fixed if name != "k"]
        n = {name: rng.poisson(c["w"].sum() * (rng.uniform(0, 2) if name == "S" else 1)) for name, c in self.data.items()}
        parts = []
        for name, columns in self.data.items():
            chosen = rng.choice(len(columns["x"]), n[name], p=np.abs(columns["w"]) / np.abs(columns["w"]).sum())
            # no event is there twice
            shift = rng.normal(0, 1e-3, n[name])
            parts.append({c: columns[c][chosen] + (shift if c == "x" else 0) for c in ("x", "z", "reg")})
        self.observed = {c: np.concatenate([part[c] for part in parts]) for c in ("x", "z", "reg")}

    def nuisances(self):
        rng = self.rng
        rates, self.shapes = str(rng.choice(["code1", "code4"])), str(rng.choice(["code0", "code4p"]))
        text = []
        for number in range(int(rng.integers(0, 4))):
            name = f"nu{number}"
            processes = [p for p in self.data if rng.random() < 0.7] or ["B0"]
            lines = [f"[systematics.{name}]", f'interpolation = "{rates}"']
            kind = rng.choice(["rates", "rate of samples", "shape", "shape and rates"])
            if kind in ("rates", "shape and rates"):
                pairs = [f"{p} = [{rng.uniform(0.8, 0.97):.4f}, {rng.uniform(1.03, 1.2):.4f}]" for p in processes]
                lines.append("rates = {{ {} }}".format(", ".join(pairs)))
            if kind == "rate of samples":
                lines.append("shape = false")
            if kind.startswith("shape"):
                lines.append(f'density_interpolation = "{self.shapes}"')
            if kind != "rates":
                lines.append(f"[systematics.{name}.samples]")
                for p in processes:
                    lines.append(f'{p} = {{ up = {{ weight = "w{number}u" }}, down = {{ weight = "w{number}d" }} }}')
            if rng.random() < 0.25:
                self.fixed.append(name)
            text.append("\n".join(lines))
        self.systematics = text

    def bins(self):
        inner = np.sort(self.rng.choice(np.arange(-2.0, 2.1, 0.5), int(self.rng.integers(1, 4)), replace=False))
        edges = [-4.0, *map(float, inner), 4.0]
        # a bin without simulation and data
        return edges + [6.0] if self.rng.random() < 0.3 else edges

    def write(self):
        for name, columns in {**self.data, "obs": self.observed}.items():
            pq.write_table(pa.table(columns), self.folder / f"{name}.parquet")

        def value(x):
            return x if isinstance(x, str) else json.dumps(x)

        tables = []
        for name, keys in self.table.items():
            tables.append(f"[parameters.{name}]\n" + "\n".join(f"{k} = {value(v)}" for k, v in keys.items()))
        samples = [
            f'[samples.{name}]\npath = "{name}.parquet"\nweight = "w"\nid = ["event"]\ncoefficient = "{c}"'
            for name, c in self.coefficients.items()
        ]
        numbers = range(1, self.channels + 1)
        channels = [
            f'[channels.c{i}]\nregion = "r{i}"\nobservable = "z"\nbins = {self.bins()}\n'
            f"statistical = {value(bool(self.rng.random() < 0.7))}"
            for i in numbers
        ]
        text = CONFIG.format(
            regions="\n".join(f'[regions.r{i}]\nselection = "reg == {i}"' for i in numbers),
            parameters="\n".join(tables),
            samples="\n".join(samples),
            systematics="\n".join(self.systematics),
            channels="\n".join(channels),
            observed='[observed]\npath = "obs.parquet"',
            fixed=json.dumps(self.fixed),
            statistic=self.statistic,
        )
        (self.folder / "config.toml").write_text(text)


class Fitter:
    """Minima of pyhf's -2 log L by Newton's method; many points are evaluated at a time.

    Codes 0 and 1 have kinks where a nuisance parameter is zero: what lies between them is
    searched part by part.
    """

    BATCH = 32

    def __init__(self, workspace, settings):
        self.model = workspace.model(modifier_settings=settings)
        self.many = workspace.model(modifier_settings=settings, batch_size=self.BATCH)
        config = self.model.config
        self.low, self.high = np.array(config.suggested_bounds()).T
        self.init = np.array(config.suggested_init())
        self.free = ~np.array(config.suggested_fixed())
        self.poi = config.poi_index
        self.kinks = np.zeros(len(self.init), dtype=bool)
        of_kind = {"normsys": "code1", "histosys": "code0"}
        for kind, code in of_kind.items():
            if settings[kind]["interpcode"] == code:
                for name, found in config.modifiers:
                    if found == kind:
                        self.kinks[config.par_slice(name)] = True
        self.kinks &= self.free

    def values(self, points, data):
        points = np.array(points)
        found, tiled = [], np.tile(data, (self.BATCH, 1))
        for first in range(0, len(points), self.BATCH):
            part = points[first : first + self.BATCH]
            rest = np.repeat(part[-1:], self.BATCH - len(part), axis=0)
            values = np.asarray(self.many.logpdf(np.concatenate([part, rest]), tiled)).reshape(-1)
            found.append(-2.0 * values[: len(part)])
        return np.concatenate(found)

    def value(self, at, data):
        return self.values([at], data)[0]

    @staticmethod
    def pairs(at, which, step, low, high):
        """Points on both sides of a point, inside bounds, and their distances."""
        points, distances = [], []
        for k in which:
            one, other = at.copy(), at.copy()
            one[k], other[k] = min(at[k] + step, high[k]), max(at[k] - step, low[k])
            points += [one, other]
            distances.append(one[k] - other[k])
        return points, np.array(distances)

    def gradients(self, points, data, which, step, low, high):
        """Slopes `[points, which]`."""
        if len(which) == 0:
            return np.zeros((len(points), 0))
        both = [self.pairs(at, which, step, low, high) for at in points]
        values = self.values([point for pair, _ in both for point in pair], data)
        values = values.reshape(len(points), len(which), 2)
        return (values[:, :, 0] - values[:, :, 1]) / np.array([distances for _, distances in both])

    def gradient(self, at, data, which, low, high):
        return self.gradients([at], data, which, 1e-5, low, high)[0]

    def hessian(self, at, data, which, low, high):
        points, distances = self.pairs(at, which, 1e-3, low, high)
        slopes = self.gradients(points, data, which, 1e-4, low, high)
        rows = (slopes[0::2] - slopes[1::2]) / distances[:, None]
        return 0.5 * (rows + rows.T)

    def descend(self, data, at, free, low, high):
        """The lowest point within bounds that lie between kinks."""
        at = np.clip(at, low, high)
        known = None
        for attempt in range(60):
            which = np.flatnonzero(free & (low < high))
            slope = self.gradient(at, data, which, low, high)
            stuck = ((at[which] <= low[which]) & (slope > 0)) | ((at[which] >= high[which]) & (slope < 0))
            which, slope = which[~stuck], slope[~stuck]
            if known is None or attempt % 8 == 0 or len(known) != len(which):
                known = self.hessian(at, data, which, low, high)
            if not np.isfinite(known).all():
                # a bin without expected events
                return at
            scale, vectors = np.linalg.eigh(known)
            step = -vectors @ ((vectors.T @ slope) / np.maximum(np.abs(scale), 1e-6))
            before = self.value(at, data)
            for _ in range(30):
                moved = at.copy()
                moved[which] = np.clip(at[which] + step, low[which], high[which])
                if not self.value(moved, data) > before + 1e-12:
                    break
                step = 0.5 * step
            size = float(np.max(np.abs(moved - at), initial=0.0))
            at = moved
            if size < 1e-9:
                break
        return at

    def fit(self, data, start, fixed_mu=None):
        """The lowest point of all parts and its -2 log L."""
        at = np.clip(start.copy(), self.low, self.high)
        free = self.free.copy()
        if fixed_mu is not None:
            at[self.poi], free[self.poi] = fixed_mu, False
        ends = []
        for sides in itertools.product((True, False), repeat=int(self.kinks.sum())):
            above = np.zeros(len(at), dtype=bool)
            above[self.kinks] = sides
            low = np.where(self.kinks & above, 0.0, self.low)
            high = np.where(self.kinks & ~above, 0.0, self.high)
            mirrored = np.where(self.kinks, np.where(above, np.abs(at), -np.abs(at)), at)
            end = self.descend(data, mirrored, free, low, high)
            value = self.value(end, data)
            ends.append((value if math.isfinite(value) else math.inf, tuple(end)))
        value, end = min(ends)
        return np.array(end), value

    def slopes(self, data, at, k, step=1e-5):
        """Slopes below and above the kink, the parameter at zero."""
        sides = [x * step for x in (-2.0, -1.0, 0.0, 1.0, 2.0)]
        points = np.repeat(at[None], 5, axis=0)
        points[:, k] = sides
        far_below, below, here, above, far_above = self.values(points, data)
        return (3 * here - 4 * below + far_below) / (2 * step), (4 * above - far_above - 3 * here) / (2 * step)

    def is_held(self, data, at):
        """Parameters that are held by a bound or a kink."""
        held = (at <= self.low) | (at >= self.high)
        for k in np.flatnonzero(self.free & self.kinks & (at == 0)):
            below_zero, above_zero = self.slopes(data, at, k)
            held[k] = above_zero - below_zero > 1e-4
        return held

    def error(self, at, data):
        which = np.flatnonzero(self.free & ~self.is_held(data, at))
        # differences stay on one side of a kink
        low = np.where(self.kinks & (at > 0), np.maximum(self.low, 0.0), self.low)
        high = np.where(self.kinks & (at < 0), np.minimum(self.high, 0.0), self.high)
        hessian = 0.5 * self.hessian(at, data, which, low, high)
        place = list(which).index(self.poi)
        variance = np.linalg.inv(hessian)[place, place]
        return math.sqrt(variance if variance > 0 else 1.0 / abs(hessian[place, place]))


class Limit:
    """The CLs upper limit."""

    def __init__(self, fitter, data, best, statistic):
        self.fitter, self.statistic = fitter, statistic
        none = fitter.fit(data, best, 0.0)[0]
        asimov = np.array(fitter.model.expected_data(none.tolist()))
        self.sets = [(data, best), (asimov, none)]
        self.best = [fitter.fit(d, p) for d, p in self.sets]
        self.last = [p for p, _ in self.best]

    def statistic_of(self, number, mu):
        data = self.sets[number][0]
        point, least = self.best[number]
        if point[self.fitter.poi] > mu:
            return 0.0
        self.last[number], found = self.fitter.fit(data, self.last[number], mu)
        return max(0.0, found - least)

    def cls(self, mu):
        q, expected = self.statistic_of(0, mu), self.statistic_of(1, mu)
        root, asimov = math.sqrt(q), math.sqrt(expected)
        t = root - asimov
        if self.statistic == "qtilde" and q > expected:
            t = (q - expected) / (2.0 * asimov)
        return norm.sf(t + asimov) / norm.sf(t)

    def value(self, guess):
        low, high = 0.9 * guess, 1.1 * guess
        level = lambda mu: self.cls(mu) - 0.05
        return brentq(level, low, high, xtol=1e-7 * guess) if level(low) * level(high) < 0 else math.nan


def compare(folder):
    """Differences in units of the error, or why there is nothing to compare."""
    result = json.loads((folder / "out/measurement.json").read_text())
    export = result["export"]
    if not export["is_written"]:
        return None, export["reason"], export["is_wrong"]
    workspace = pyhf.Workspace(json.loads((folder / "out/workspace.json").read_text()))
    points = json.loads((folder / "out/workspace_points.json").read_text())
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer())
    fitter = Fitter(workspace, points["modifier_settings"])
    data = np.array(workspace.data(fitter.model))
    start = np.array(pyhf.infer.mle.fit(data, fitter.model))
    best, _ = fitter.fit(data, start)
    curve = result["scans"]["mu"]["curves"].get("histogram")
    if curve is None:
        reasons = [note for note in result["notes"] if "no curve `histogram`" in note]
        return None, "; ".join(reasons), not any("do not measure it" in note for note in reasons)
    mu = best[fitter.poi]
    at_bound = mu <= fitter.low[fitter.poi] or mu >= fitter.high[fitter.poi]
    error = fitter.error(np.clip(best, fitter.low + 1e-3, fitter.high - 1e-3), data) if at_bound else fitter.error(best, data)
    found = {"mu": (curve["best"] - mu) / error}
    # differences cannot tell a curvature that jumps nearer than their steps
    near_kink = (fitter.kinks & (np.abs(best) < 2e-3)).any()
    if not at_bound and not near_kink and curve["error"] is not None:
        found["error"] = (curve["error"] - error) / error
    limit = result["histogram_limit"]
    if limit["observed"] is not None:
        own = Limit(fitter, data, best, limit["test_stat"]).value(limit["observed"])
        # pyhf's likelihood is not finite everywhere about a bin without expected events
        if math.isfinite(own):
            found["limit"] = (limit["observed"] - own) / error
    return found, None, False


def examine(task):
    """One random measurement: what became of it, the differences, and what is wrong."""
    seed, number, program, keep = task
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        Measurement(np.random.default_rng([seed, number]), folder)
        command = [program, "run", "config.toml", "--out", "out", "--quiet"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        found, problem = {}, None
        if not (folder / "out/measurement.json").exists():
            kind, said = "no result", done.stderr.strip()
            words = ("expected", "add up to", "no ratio exists there")
            refused = done.returncode in (3, 4) and any(w in done.stderr for w in words)
            problem = None if refused else f"exit {done.returncode}: {done.stderr}"
        else:
            differences, said, is_wrong = compare(folder)
            if differences is None:
                kind, problem = "no workspace", said if is_wrong else None
            else:
                kind, found = "compared", differences
                if not all(abs(x) <= TOLERANCE for x in found.values()):
                    problem = str(found)
        if problem and keep:
            keep.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-r", name, keep / str(number)], check=True)
    return kind, found, said, problem


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/sideband")
    parser.add_argument("--number", type=int, default=30)
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="measurements at a time")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for measurements that disagree")
    arguments = parser.parse_args()
    program = pathlib.Path(arguments.program).resolve()
    worst, counts, bad = {}, {"compared": 0, "no workspace": 0, "no result": 0}, 0
    tasks = [(arguments.seed, n, program, arguments.keep) for n in range(arguments.first, arguments.first + arguments.number)]
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        for number, (kind, found, said, problem) in enumerate(pool.map(examine, tasks), arguments.first):
            counts[kind] += 1
            if said:
                print(f"{number}: {said}")
            for what, difference in found.items():
                worst.setdefault(what, []).append(abs(difference))
            if problem:
                bad += 1
                print(f"{number}: WRONG: {problem}")
    print(f"pyhf {pyhf.__version__}, seed {arguments.seed}: {counts}, {bad} wrong")
    for what, all_of in worst.items():
        print(f"{what}: {len(all_of)} compared, largest difference {max(all_of):.1e} errors")
    return 1 if bad or counts["compared"] < 0.8 * arguments.number else 0


if __name__ == "__main__":
    sys.exit(main())

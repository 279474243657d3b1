"""Studies of many runs: the program, files of events, shipped configurations with changes,
histograms, tables, a figure without any library."""

import json
import math
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
GOOD = (0, 6)
"""Exit codes of a run with a result."""


class Failed(Exception):
    """A command gave no result; says why."""


def sideband(program, *words, folder=None, good=GOOD, threads=None):
    """Standard output of a command."""
    own = {"RAYON_NUM_THREADS": str(threads)} if threads else {}
    command = [str(word) for word in (program, *words)]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False
    )
    if done.returncode not in good:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no word"]
        raise Failed(f"{' '.join(command[1:3])}: exit code {done.returncode}: {lines[-1]}")
    return done.stdout


def run(program, config, out, **options):
    """Runs a configuration into a folder."""
    sideband(program, "run", config, "--out", out, "--quiet", **options)
    return Path(out)


def on_workspace(program, command, workspace, *words, fixed=None, **options):
    """The result of a command on a workspace, some parameters fixed."""
    fix = ["--fix", ",".join(f"{k}={v}" for k, v in fixed.items())] if fixed else []
    text = sideband(
        program, command, workspace, *fix, *words, "--json", "--quiet", good=(0,), **options
    )
    return json.loads(text)


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_json(path, value):
    Path(path).write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def write(path, first, **columns):
    """Writes events, whose weights are `w`, with numbers from `first` on as `event`."""
    columns["event"] = np.arange(first, first + len(columns["w"]))
    pq.write_table(pa.table(columns), path)


def columns(path, names=None):
    """Columns of a file as arrays."""
    table = pq.read_table(path, columns=names)
    return {name: table[name].to_numpy() for name in table.column_names}


def shipped(name):
    """A shipped configuration, its files by absolute paths."""
    place = ROOT / "configs"
    with open(place / f"{name}.toml", "rb") as file:
        config = tomllib.load(file)

    def absolute(value):
        if isinstance(value, dict):
            return {key: absolute(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [absolute(inner) for inner in value]
        is_path = isinstance(value, str) and value.startswith("../")
        return f"{place.parent}/{value.removeprefix('../')}" if is_path else value

    return absolute(config)


def replaced(value, words):
    """A configuration in which texts are replaced by others."""
    if isinstance(value, dict):
        return {key: replaced(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner, words) for inner in value]
    if isinstance(value, str):
        for old, new in words.items():
            value = value.replace(old, new)
    return value


def toml(value):
    """A value as TOML writes it within a line."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(inner) for inner in value) + "]"
    if isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


def write_toml(path, config):
    """Writes a configuration, a line a table."""
    lines = (f"{json.dumps(key)} = {toml(value)}\n" for key, value in config.items())
    Path(path).write_text("".join(lines), encoding="utf-8")
    return Path(path)


MU_BOUNDS = [-10.0, 100.0]
"""Of limit_on_hh: below, a bin with little background would expect less than nothing."""


def limit_on_hh(sample):
    """configs/limit.toml at kappa_lambda = 1, opened, with mu of both signs and no limits along
    other parameters; `sample`: its background's tables, in place of what is there."""
    config = shipped("limit")
    config["regions"]["sr"]["blind"] = False
    config["parameters"] = {"mu": config["parameters"]["mu"] | {"bounds": MU_BOUNDS}}
    signal = config["samples"]["ggf_1"] | {"coefficient": "mu"}
    background = config["samples"]["multijet"] | sample
    config["samples"] = {"ggf_1": signal, "multijet": background}
    rates = config["systematics"]["signal_rate"]["rates"]
    config["systematics"]["signal_rate"]["rates"] = {"ggf_1": rates["ggf_1"]}
    config["measurement"] = {
        "interest": ["mu"],
        "limit": {"test_stat": "q"},
        "scans": [{"parameter": "mu", "points": 9}],
    }
    return config


class Channels:
    """The histograms of a limit's channel `sr` with categories by the edges of two columns."""

    def __init__(self, config):
        channel = config["channels"]["sr"]
        self.edges = np.array(channel["bins"])
        self.observable = channel["observable"]
        self.axes = list(channel["categories"].items())
        sizes = [len(edges) - 1 for _, edges in self.axes]
        self.names = [f"sr_{i}_{j}" for i in range(sizes[0]) for j in range(sizes[1])]
        self.bins = len(self.edges) - 1

    def places(self, events):
        """The bin of each event among those of all channels, -1 outside."""
        place = np.zeros(len(events[self.observable]), dtype=int)
        inside = np.ones(len(place), dtype=bool)
        for name, edges in self.axes:
            cell = np.searchsorted(edges, events[name], side="right") - 1
            inside &= (cell >= 0) & (cell < len(edges) - 1)
            place = place * (len(edges) - 1) + cell
        # beyond the edges is in the end bins
        own = np.searchsorted(self.edges, events[self.observable], side="right") - 1
        place = place * self.bins + np.clip(own, 0, self.bins - 1)
        return np.where(inside, place, -1)

    def fill(self, places, weights):
        """Contents of all bins, channel after channel."""
        kept = places >= 0
        size = len(self.names) * self.bins
        return np.bincount(places[kept], weights=weights[kept], minlength=size)

    def split(self, contents):
        """{channel: contents}"""
        return dict(zip(self.names, np.reshape(contents, (-1, self.bins)).tolist(), strict=True))


def x_hh(events):
    """The distance from the Higgs pair, as the built-in column of this name."""
    m1, m2 = (np.asarray(events[name], dtype=float) for name in ("m_h1", "m_h2"))
    return np.hypot((m1 - 124.0) / (0.1 * m1), (m2 - 117.0) / (0.1 * m2))


def observables(events):
    """Columns that the channels of configs/limit.toml are made of, of events of any file."""
    found = {name: np.asarray(events[name], dtype=float) for name in ("m_hh", "deta_hh")}
    return found | {"x_hh": x_hh(events)}


def common(parser, name):
    """Adds what every study is told."""
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/sideband",
                        help="target/release/sideband")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("runs") / name, help=f"runs/{name}")


def parsed(parser):
    """The command line, with a program and a folder that are there."""
    options = parser.parse_args()
    if not options.program.is_file():
        parser.error(f"--program {options.program}: no such file; cargo build --release")
    options.program, options.out = options.program.resolve(), options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def share(count, number):
    """A share and its error, which is above 0 where none or all are counted."""
    p = (count + 1.0) / (number + 2.0)
    return count / number, math.sqrt(p * (1.0 - p) / number)


def rms(values):
    """Root of the mean square, and its error."""
    found = math.sqrt(float(np.mean(np.square(values))))
    return found, found / math.sqrt(2.0 * len(values))


def table(head, rows):
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def say(text):
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


# A figure: its size, and the ends of its axes.
WIDTH, HEIGHT = 640, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 620, 20, 370
COLOURS = ("#1f5fa8", "#c03a2b", "#2e8b57", "#8a5fb0", "#666666")


def ticks(low, high):
    """About five round numbers of a range."""
    step = 10.0 ** math.floor(math.log10((high - low) / 4.0))
    step *= next(f for f in (1, 2, 5, 10) if (high - low) / (f * step) <= 6.0)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)]


def figure(path, labels, series, lines=()):
    """Writes points with errors, and lines, as SVG. `labels`: of both axes; `series`:
    (name, [(x, y, error)]); `lines`: (name, [(x, y)]), dashed, without a name in the colour of
    the one before."""
    points = [(x, y, e) for _, own in series for x, y, e in own]
    ends = [(x, y) for _, own in lines for x, y in own]
    xs = [x for x, _, _ in points] + [x for x, _ in ends]
    ys = [y + s * e for _, y, e in points for s in (-1, 1)] + [y for _, y in ends]

    def range_of(values):
        low, high = min(values), max(values)
        margin = 0.08 * (high - low) or 1.0
        return low - margin, high + margin

    (x0, x1), (y0, y1) = range_of(xs), range_of(ys)

    def at(x, y):
        across = LEFT + (x - x0) / (x1 - x0) * (RIGHT - LEFT)
        return across, BOTTOM - (y - y0) / (y1 - y0) * (BOTTOM - TOP)

    parts = [f'<rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}" '
             'fill="none" stroke="black"/>']  # fmt: skip

    def text(x, y, words, more=""):
        words = words.replace("&", "&amp;").replace("<", "&lt;")
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {more}>{words}</text>')

    def line(a, b, more):
        ends = f'x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}"'
        parts.append(f"<line {ends} {more}/>")

    for value in ticks(x0, x1):
        x, _ = at(value, y0)
        line((x, BOTTOM), (x, BOTTOM - 5), 'stroke="black"')
        text(x, BOTTOM + 16, f"{value:g}", 'text-anchor="middle"')
    for value in ticks(y0, y1):
        _, y = at(x0, value)
        line((LEFT, y), (LEFT + 5, y), 'stroke="black"')
        text(LEFT - 6, y + 4, f"{value:g}", 'text-anchor="end"')
    text((LEFT + RIGHT) / 2, HEIGHT - 12, labels[0], 'text-anchor="middle"')
    middle = (TOP + BOTTOM) / 2
    text(16, middle, labels[1], f'text-anchor="middle" transform="rotate(-90 16 {middle})"')
    # a line without a name is the other side of the one before
    named = [name for name, _ in lines if name]
    for name, own in lines:
        if name:
            number = named.index(name)
            colour = COLOURS[(len(series) + number) % len(COLOURS)]
        for a, b in zip(own, own[1:], strict=False):
            line(at(*a), at(*b), f'stroke="{colour}" stroke-dasharray="5 4"')
        text(LEFT + 12, TOP + 18 * (len(series) + number + 1), name, f'fill="{colour}"')
    for number, (name, own) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        for x, y, error in own:
            line(at(x, y - error), at(x, y + error), f'stroke="{colour}" stroke-width="1.5"')
            across, down = at(x, y)
            parts.append(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3.5" fill="{colour}"/>')
        text(LEFT + 12, TOP + 18 * (number + 1), name, f'fill="{colour}"')
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    )
    Path(path).write_text("\n".join([head, *parts, "</svg>"]) + "\n", encoding="utf-8")

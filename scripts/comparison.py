"""Programs measured in turn on the same machine, and the table of their ratios.

A workload is measured in rounds; in a round every program runs once, in a process of its own,
and a ratio is made of two figures of the same round. Only the standard library is imported
here: a child's peak memory cannot be less than that of the process that starts it.
"""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = "sideband"
RATE, WALL, PEAK = "rate", "wall seconds", "peak MiB"
SMALLER_IS_BETTER = {WALL, PEAK}
DIVAN_UNITS = {"item/s": 1.0, "Kitem/s": 1e3, "Mitem/s": 1e6, "Gitem/s": 1e9, "Titem/s": 1e12}


class Unavailable(Exception):
    """A program cannot run here; says why."""


@dataclass(frozen=True)
class Program:
    """One of the programs of a workload: `measure` gives its figures, {metric: value}."""

    name: str
    measure: Callable[[], dict[str, float]]
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """A line of the table: how many times better than the best of some peers."""

    title: str
    against: tuple[str, ...]
    factor: float
    subject: str = OURS
    metric: str = RATE
    scale: float = 1.0
    """Our figure is multiplied by it, where the peer's has another unit."""


@dataclass(frozen=True)
class Workload:
    """Programs that do the same work, and what their ratios should be."""

    key: str
    unit: str
    programs: list[Program]
    targets: list[Target]
    note: str = ""
    once: bool = False
    """One round, whatever number is asked for."""


@dataclass
class Measured:
    """Figures of a workload: values[program][metric] has one entry a round."""

    workload: Workload
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """A program that ended."""

    output: str
    wall: float
    cpu: float
    peak_mib: float
    why: str = ""
    """Empty if it ended well."""
    is_late: bool = False
    """Whether it was ended by the limit of its time."""

    def records(self):
        """The JSON objects among the lines that it printed."""
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]


def run(command):
    """Runs a program to its end, which must be a good one."""
    finished = finish(command)
    if finished.why:
        raise Unavailable(finished.why)
    return finished


def finish(command, seconds=None):
    """Runs a program to its end or for so long, with wall time, CPU time and peak of its memory."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        try:
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=errors)
        except OSError as error:
            raise Unavailable(str(error)) from error
        late = threading.Event()

        def end():
            late.set()
            process.kill()

        timer = threading.Timer(seconds, end) if seconds else None
        if timer:
            timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        if timer:
            timer.cancel()
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        why = reason(process.returncode, errors.read()) if process.returncode != 0 else ""
        is_late = late.is_set() and process.returncode == -signal.SIGKILL
        return Finished(
            out.read(),
            wall,
            usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss / 1024,
            f"did not end in {seconds:g} s" if is_late else why,
            is_late,
        )


def restrict(threads):
    """Confines this process and all that it starts to as many processors as threads."""
    allowed = sorted(os.sched_getaffinity(0))
    if threads > len(allowed):
        sys.exit(f"--threads {threads}: this process may use {len(allowed)} processors")
    os.sched_setaffinity(0, allowed[:threads])


def reason(code, errors):
    """The last line that a program left on stderr, or how it ended."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1] if lines else f"ended with code {code}"


def peer(script, *options, metric=""):
    """Rate of a script of scripts/peers, from the line whose metric begins so."""
    words = [str(word) for word in options]
    finished = run([sys.executable, ROOT / "scripts/peers" / script, *words])
    for record in finished.records():
        if record.get("metric", "").startswith(metric):
            return {RATE: float(record["value"])}
    raise Unavailable(f"{script} printed no figure of `{metric}`")


def divan(executable, benchmark, seconds):
    """Median rate of one benchmark, `module::function::argument`, of a divan executable."""
    options = ["--bench", "--exact", benchmark, "--max-time", seconds, "--sample-count", 1000]
    finished = run([executable, *(str(word) for word in options)])
    rates = re.findall(r"([\d.]+) ([KMGT]?item/s)", finished.output)
    if len(rates) != 4:
        raise Unavailable(f"no benchmark `{benchmark}` in {executable}")
    value, unit = rates[2]  # fastest, slowest, median, mean
    return {RATE: float(value) * DIVAN_UNITS[unit]}


def build():
    """{target: executable} of the program and its benches, built once, before any timing."""
    command = ["cargo", "build", "--release", "--workspace", "--bins", "--benches"]
    done = subprocess.run(
        [*command, "--message-format", "json-render-diagnostics"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit("cargo could not build the program and its benches")
    messages = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return {
        message["target"]["name"]: message["executable"]
        for message in messages
        if message["reason"] == "compiler-artifact" and message["executable"]
    }


def missing(packages):
    """Those that are not installed."""
    return [name for name in packages if find_spec(name) is None]


def measure(workload, rounds):
    """All rounds of a workload. A program that fails is left out from then on."""
    result = Measured(workload)
    present = []
    for program in workload.programs:
        if absent := missing(program.packages):
            result.left_out[program.name] = f"not installed: {', '.join(absent)}"
        else:
            present.append(program)
    for number in range(1 if workload.once else rounds):
        # Another one begins in each round, so that none always follows the same.
        first = number % max(len(present), 1)
        for program in present[first:] + present[:first]:
            try:
                figures = program.measure()
            except Unavailable as error:
                result.left_out[program.name] = str(error)
                result.values.pop(program.name, None)
                present.remove(program)
                continue
            report(workload, number, program, figures)
            for metric, value in figures.items():
                result.values.setdefault(program.name, {}).setdefault(metric, []).append(value)
    return result


def report(workload, number, program, figures):
    """Progress, on stderr."""
    text = ", ".join(f"{metric} {value:.4g}" for metric, value in figures.items())
    print(f"{workload.key}, round {number + 1}, {program.name}: {text}", file=sys.stderr)


def compare(measured, target):
    """A line of the table as a dictionary; `ratio` is None where a program is missing."""
    figures = {
        name: metrics[target.metric]
        for name, metrics in measured.values.items()
        if target.metric in metrics
    }
    peers = [name for name in target.against if name in figures]
    smaller = target.metric in SMALLER_IS_BETTER
    line = {
        "workload": measured.workload.key,
        "title": target.title,
        "target": target.factor,
        "unit": measured.workload.unit if target.metric == RATE else target.metric,
        "subject": target.subject,
        "peer": None,
        "ratio": None,
    }
    if target.subject not in figures or not peers:
        return line
    medians = {name: statistics.median(figures[name]) for name in peers}
    best = (min if smaller else max)(medians, key=medians.get)
    ratios = [
        theirs / ours if smaller else target.scale * ours / theirs
        for ours, theirs in zip(figures[target.subject], figures[best], strict=True)
    ]
    ratio = statistics.median(ratios)
    return line | {
        "ours": statistics.median(figures[target.subject]),
        "peer": best,
        "peers": medians[best],
        "ratio": ratio,
        "ratios": ratios,
        "met": ratio >= target.factor,
    }


def number(value):
    """A figure with three digits, in thousands or millions where it is large."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def table(lines):
    """The lines as a Markdown table."""
    rows = [
        "| | unit | sideband | best peer | its figure | ratio | rounds' min – max | target | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        head = f"| {line['title']} | {line['unit']} |"
        if line["ratio"] is None:
            rows.append(f"{head} – | – | – | – | – | {line['target']:g} | not measured |")
            continue
        spread = f"{min(line['ratios']):.2f} – {max(line['ratios']):.2f}"
        rows.append(
            f"{head} {number(line['ours'])} | {line['peer']} | {number(line['peers'])} "
            f"| {line['ratio']:.2f} | {spread} | {line['target']:g} "
            f"| {'met' if line['met'] else 'missed'} |"
        )
    return "\n".join(rows)


def programs_table(results):
    """Every program's median, whether it counts or not, as a Markdown table."""
    rows = ["| workload | program | metric | median | min – max |", "|---|---|---|---|---|"]
    for measured in results:
        for name, metrics in measured.values.items():
            for metric, values in metrics.items():
                unit = measured.workload.unit if metric == RATE else metric
                spread = f"{number(min(values))} – {number(max(values))}"
                rows.append(
                    f"| {measured.workload.key} | {name} | {unit} "
                    f"| {number(statistics.median(values))} | {spread} |"
                )
    return "\n".join(rows)


def notes(results):
    """What has to be known beside the figures: definitions, and programs that are missing."""
    lines = []
    for measured in results:
        if measured.workload.note:
            lines.append(f"{measured.workload.key}: {measured.workload.note}")
        for name, why in measured.left_out.items():
            lines.append(f"{measured.workload.key}: {name} left out: {why}")
    return lines

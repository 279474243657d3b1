#!/usr/bin/env python3
"""Speed and numbers of commands on HistFactory workspaces beside those of other programs.

usage: compare_workspaces.py [--quick] [--program PATH] [--folder FOLDER] [--workspaces NAME ...]
                             [--tasks TASK ...] [--peers NAME ...] [--numpy-up-to N] [--rounds N]
                             [--seconds S] [--threads T] [--toys N] [--json FILE]

For every workspace of the folder that has reference numbers (NAME.golden.json), sideband, pyhf,
cabinetry and NextStat do each task in turn, in processes of their own on the same processors:

    fit      best fit of the observed data
    limit    CLs at mu = 1, and the 95 % upper limits observed and expected (-2 to +2 sigma)
    ranking  shifts of mu by fits with every nuisance parameter moved
    impacts  shares of groups in the expected limit, which no peer has
    toys     CLs at mu = 1 by N toys of each hypothesis

Prints Markdown: CPU seconds of every task, and the numbers beside the reference with the tolerances
of its README, and the times that sideband should reach. A process that does not end in S seconds is
ended, which is said ("> 120 s"); one that takes more than a tenth of that, or fails, has one round.
Peers by numpy get workspaces of at most 70 parameters (--numpy-up-to). Peers that are not installed
are named and left out:
pip install "pyhf[minuit]==0.7.6" jax==0.4.38 cabinetry==0.6.0 nextstat==0.10.1. Exit code 1 if a
number of sideband is beyond its tolerance or missing.

`--quick`: sideband alone, fit and limit once on the workspaces whose times are goals (ss_2l1b where
FOLDER has it), at most 25 s a process.
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import comparison
from comparison import OURS, ROOT, Unavailable

SCRIPT = ROOT / "scripts/peers/workspaces.py"
# Workspaces that are a published signal on a background: patch set and name.
PATCHED = {
    "onelbb_C1N2_500_0": (
        "onelbb_background.json.gz",
        "onelbb_patchset.json.gz",
        "C1N2_Wh_hbb_500_0",
    ),
}
# What a peer can do, and its packages; those by numpy take minutes where there are many parameters.
PEERS = {
    "pyhf-numpy-minuit": (("fit", "limit", "toys"), ("pyhf", "iminuit")),
    "pyhf-jax-scipy": (("fit", "limit", "toys"), ("pyhf", "jax")),
    "cabinetry-numpy": (("ranking",), ("cabinetry", "iminuit")),
    "cabinetry-jax": (("ranking",), ("cabinetry", "iminuit", "jax")),
    "nextstat": (("fit", "limit", "ranking", "toys"), ("nextstat",)),
}
BY_NUMPY = ("pyhf-numpy-minuit", "cabinetry-numpy")
# CPU seconds that sideband should take at most.
GOALS = {
    ("onelbb_C1N2_500_0", "limit"): 2.0,
    ("trilepton_300", "fit"): 1.0,
    ("trilepton_300", "limit"): 10.0,
    ("ss_2l1b", "limit"): 0.1,
    ("hb_a", "limit"): 0.5,
}
QUICK = {"tasks": ["fit", "limit"], "peers": [], "rounds": 1, "seconds": 25.0}
PACKAGES = ("pyhf", "iminuit", "scipy", "numpy", "jax", "cabinetry", "nextstat")
# Tasks, and the stages of a peer that must end.
TASKS = {
    "fit": ("fit",),
    "limit": ("cls", "limit"),
    "ranking": ("ranking",),
    "impacts": (),
    "toys": ("toys",),
}
BEFORE = ("import", "read", "build")
# Of the numbers, as the README of the workspaces has them.
TOLERANCES = {
    "log L": 1e-6,
    "mu": 1e-5,
    "CLs": 1e-5,
    "limits": 1e-5,
    "impacts": 1e-4,
    "toys": 3.0,
}
WARM = ("warm starts only", 1e-4)
"""Limits of a reference whose fits had one start."""
WRONG = 1000.0
"""A result so many tolerances off is marked beside its time, and is no peer of the ratios."""
SHORTEST = 2e-3
"""CPU seconds below which the difference of two processes says nothing."""
SEED = 7
# Groups of the reference, and how those of sideband begin.
GROUPS = {
    "bin_statistics": "bin statistics",
    "normfactors": "free normalisations",
    "alphas": "rates and shapes",
    "everything": "all nuisance parameters",
}


@dataclass(frozen=True)
class Case:
    """A workspace with its reference numbers."""

    name: str
    file: Path
    patch: tuple[str, ...]
    reference: dict

    @property
    def unit(self):
        """Error of mu; half the expected limit where mu is at its bound and has none."""
        expected = self.reference["upper_limit_95"]["expected_minus2_to_plus2"]
        return self.reference["mu_error"] or expected[2] / 2.0


@dataclass
class Run:
    """One process: times in seconds, and what it found."""

    workspace: str
    task: str
    program: str
    number: int
    whole: float
    """CPU seconds of the process."""
    wall: float
    peak_mib: float
    alone: float | None
    """CPU seconds of the task without reading and building; what was spent, if it did not end."""
    again: float | None
    """CPU seconds of the same fit a second time in one process."""
    found: dict
    why: str
    """Why there is no result; empty if there is one."""
    is_late: bool


def cases(folder, wanted):
    """Workspaces that have reference numbers, smallest first."""
    found = []
    for path in sorted(folder.glob("*.golden.json")):
        name = path.name.removesuffix(".golden.json")
        if wanted and name not in wanted:
            continue
        reference = json.loads(path.read_text())
        file, patch = folder / reference["workspace"], ()
        if not file.exists() and name in PATCHED:
            background, patches, key = PATCHED[name]
            file, patch = folder / background, (str(folder / patches), key)
        if not file.exists():
            sys.exit(f"{path}: there is no {file}")
        found.append(Case(name, file, patch, reference))
    missing = set(wanted or ()) - {case.name for case in found}
    if missing or not found:
        sys.exit(f"{folder}: no reference numbers of {', '.join(sorted(missing)) or 'anything'}")
    return sorted(found, key=lambda case: len(case.reference["parameters"]))


def command(program, task, case, toys):
    """Arguments of sideband for a task."""
    words = {
        "fit": ["fit"],
        "limit": ["limit"],
        "ranking": ["impacts", "--refit"],
        "impacts": ["impacts", "--limit", "--by", "type"],
        # a limit by toys is of two values at least; that at 1 is compared
        "toys": ["limit", "--toys", str(toys), "--seed", str(SEED), "--points", "1,2"],
    }[task]
    patch = ["--patch", *case.patch] if case.patch else []
    return [program, words[0], str(case.file), *patch, *words[1:], "--json", "--quiet"]


def ours(program, task, case, number, arguments, reading):
    """Runs sideband; `reading` is the CPU time of reading the workspace alone."""
    done = comparison.finish(command(program, task, case, arguments.toys), arguments.seconds)
    try:
        result = json.loads(done.output)
    except ValueError:
        result = {}
    found, why = our_numbers(task, result), result.get("failure") or done.why
    share = 1.0
    if task == "toys":
        share = 0.5  # twice the toys of a peer
        # the limit between the two values is not asked for
        why = "" if found.get("toys") else why
    return Run(
        case.name,
        task,
        OURS,
        number,
        share * done.cpu,
        share * done.wall,
        done.peak_mib,
        share * max(done.cpu - reading, 0.0),
        None,
        found,
        why,
        done.is_late,
    )


def our_numbers(task, result):
    """What sideband found, in the peers' words; empty if there is nothing."""
    if not result:
        return {}
    if task == "fit":
        best = result.get("parameters", {}).get(result.get("poi"), {})
        twice = result.get("twice_nll")
        return {
            "mu": best.get("value"),
            "mu_error": best.get("error"),
            "max_logpdf": None if twice is None else -twice / 2.0,
        }
    if task == "limit":
        return {
            "cls": {"observed": result.get("CLs_obs"), "expected": result.get("CLs_exp")},
            "limit": result.get("upper_limit"),
        }
    if task == "ranking":
        return {"impacts": {row["name"]: row["refit"] for row in result.get("ranking", [])}}
    if task == "impacts":
        return {"groups": {row["name"]: row.get("relative") for row in result.get("groups", [])}}
    tests = (result.get("toys") or {}).get("tests")
    cls = (tests[0].get("CLs_obs") or {}) if tests else {}
    return {"toys": {"cls": cls.get("value"), "error": cls.get("error")}} if tests else {}


def theirs(name, task, case, number, arguments):
    """Runs a peer."""
    options = ["--threads", arguments.threads, "--toys", arguments.toys, "--seed", SEED]
    patch = ["--patch", *case.patch] if case.patch else []
    words = [name, task, case.file, *patch, *options]
    done = comparison.finish([sys.executable, SCRIPT, *map(str, words)], arguments.seconds)
    stages = {record["stage"]: record for record in done.records() if "stage" in record}
    errors = [f"{key}: {s['error']}" for key, s in stages.items() if "error" in s]
    found = {}
    for key, stage in stages.items():
        result = {k: v for k, v in stage.items() if k not in ("stage", "wall", "cpu", "error")}
        if key in ("cls", "limit", "toys") and result:
            found[key] = result
        elif key in ("fit", "ranking"):
            found |= result
    before = [stages[key]["cpu"] for key in BEFORE if key in stages]
    again = stages.get("fit again", {}).get("cpu", 0.0)
    # A second fit that did not end takes nothing from the first.
    is_complete = all("error" not in stages.get(key, {"error": ""}) for key in TASKS[task])
    work = [s["cpu"] for key, s in stages.items() if key not in (*BEFORE, "fit again")]
    why = done.why if done.is_late or not errors else "; ".join(errors)
    return Run(
        case.name,
        task,
        name,
        number,
        done.cpu - again,
        done.wall,
        done.peak_mib,
        sum(work) if is_complete else done.cpu - sum(before),
        again or None,
        found,
        "" if is_complete else why,
        done.is_late and not is_complete,
    )


def reading_time(program, case, rounds, seconds):
    """CPU seconds that sideband takes to read a workspace: the start of the process among it."""
    times = [
        comparison.finish([program, "inspect", str(case.file), "--json"], seconds).cpu
        for _ in range(rounds)
    ]
    return statistics.median(times)


def measure(case, task, peers, arguments, reading):
    """All rounds of a task, in each of which another program begins."""
    listed = {
        OURS: lambda number: ours(arguments.program, task, case, number, arguments, reading)
    }
    is_large = len(case.reference["parameters"]) > arguments.numpy_up_to
    for name in peers:
        if task in PEERS[name][0] and not (is_large and name in BY_NUMPY):
            listed[name] = lambda number, name=name: theirs(name, task, case, number, arguments)
    runs, present = [], list(listed)
    for number in range(arguments.rounds):
        first = number % max(len(present), 1)
        for name in present[first:] + present[:first]:
            run = listed[name](number)
            runs.append(run)
            said = run.why or f"{run.whole:.4g} CPU s"
            print(f"{case.name}, {task}, round {number + 1}, {name}: {said}", file=sys.stderr)
            if run.why or run.wall > arguments.seconds / 10.0:
                present.remove(name)
    return runs


def furthest(found, expected, is_relative=False):
    """The largest difference of two lists, or None where a number is missing."""
    worst = 0.0
    for ours, reference in zip(found, expected, strict=True):
        if reference is None:
            continue
        if ours is None:
            return None
        difference = abs(ours - reference)
        worst = max(worst, difference / abs(reference) if is_relative else difference)
    return worst


def deviations(case, run, toys):
    """{quantity: deviation} of a run, None where a number is missing."""
    reference, found = case.reference, run.found
    # a ranking may begin with a fit
    if run.task == "fit" or "max_logpdf" in found:
        value, mu = found.get("max_logpdf"), found.get("mu")
        return {
            "log L": None if value is None else abs(value - reference["max_logpdf"]),
            "mu": None if mu is None else abs(mu - reference["mu"]) / case.unit,
        }
    if run.task == "limit":
        result = {}
        for what, key in (("CLs", "cls_at_1"), ("limits", "upper_limit_95")):
            one = found.get("cls" if what == "CLs" else "limit") or {}
            expected = reference[key]["expected_minus2_to_plus2"]
            # a program may give the observed CLs alone
            pairs = [[one.get("observed")], [reference[key]["observed"]]]
            if one.get("expected") or what == "limits":
                pairs[0] += one.get("expected") or [None] * 5
                pairs[1] += expected
            result[what] = furthest(*pairs, is_relative=what == "limits")
        return result
    if run.task == "impacts" and "impacts" in reference:
        groups = reference["impacts"]["groups"]
        pairs = [
            (found.get("groups", {}), beginning, groups[name]["delta_mu_over_mu"])
            for name, beginning in GROUPS.items()
            if name in groups
        ]
        values = [
            next((x for key, x in own.items() if key.startswith(beginning)), None)
            for own, beginning, _ in pairs
        ]
        return {"impacts": furthest(values, [expected for *_, expected in pairs])}
    if run.task == "toys" and "toys" in reference:
        own = found.get("toys") or {}
        cls, error = own.get("cls"), own.get("error")
        if cls is not None and error is None:
            tails = (own["with_signal"], own["without"])
            shares = [(1.0 - p) / (p * toys) for p in tails if p]
            error = cls * math.sqrt(sum(shares))
        if cls is None:
            return {"toys": None}
        both = math.hypot(error, reference["toys"]["error"])
        return {"toys": abs(cls - reference["toys"]["cls"]) / both}
    return {}


def verdicts(case, runs, toys):
    """A line for each number of each program: of its last round that ended, or its failure."""
    lines = []
    last = {(run.program, run.task): run for run in runs if run.workspace == case.name}
    for (program, task), run in last.items():
        for what, deviation in deviations(case, run, toys).items():
            tolerance = TOLERANCES[what]
            if what == "limits" and case.reference["conditional_fits"] == WARM[0]:
                tolerance = WARM[1]
            lines.append(
                {
                    "workspace": case.name,
                    "program": program,
                    "task": task,
                    "what": what,
                    "deviation": deviation,
                    "tolerance": tolerance,
                    "passed": deviation is not None and deviation <= tolerance,
                    "why": run.why,
                }
            )
    return lines


def seconds(value):
    """A time with two or three digits."""
    if value is None:
        return "–"
    digits = 2 if value < 0.1 else 3
    return f"{value:.{digits}g}"


def median(runs, figure):
    values = [getattr(run, figure) for run in runs]
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def times_table(task, cases, runs, lines, programs, most):
    """Markdown of the CPU seconds of a task, programs beside each other, and the ratios. `most`:
    seconds after which a process was ended."""
    shown = [name for name in programs if any((r.program, r.task) == (name, task) for r in runs)]
    head = ["workspace", "parameters", *shown, "fits alone", "whole"]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    # a wrong fit makes wrong rankings and toys
    wrong = {
        (line["workspace"], line["program"])
        for line in lines
        if line["task"] in (task, "fit")
        and line["deviation"] is not None
        and line["deviation"] > WRONG * line["tolerance"]
    }
    for case in cases:
        cells, alone, whole = [], {}, {}
        for name in shown:
            own = [r for r in runs if (r.workspace, r.task, r.program) == (case.name, task, name)]
            good = [run for run in own if not run.why]
            if not good:
                late = [run for run in own if run.is_late]
                cells.append("fails" if own else "–")
                if late:
                    alone[name], whole[name] = (late[0].alone, True), (late[0].whole, True)
                    cells[-1] = f"> {most:g} s"
                continue
            alone[name] = (median(good, "alone"), False)
            whole[name] = (median(good, "whole"), False)
            mark = ", wrong" if (case.name, name) in wrong else ""
            cells.append(f"{seconds(alone[name][0])} ({seconds(whole[name][0])}){mark}")
            if mark and name != OURS:
                del alone[name], whole[name]
        ratios = [ratio(figures) for figures in (alone, whole)]
        parameters = len(case.reference["parameters"])
        rows.append(f"| {' | '.join([case.name, str(parameters), *cells, *ratios])} |")
    return "\n".join(rows)


def ratio(figures):
    """How many times the fastest peer's CPU time is that of sideband."""
    own, is_late = figures.get(OURS, (None, False))
    peers = [figure for name, figure in figures.items() if name != OURS]
    if own is None or is_late or not peers or own < SHORTEST:
        return "–"
    best, is_bound = min(peers, key=lambda figure: (figure[1], figure[0]))
    return f"{'> ' if is_bound else ''}{comparison.number(best / own)}"


def goals_table(runs):
    """Markdown of the times that sideband should reach, of those that were measured."""
    rows = ["| workspace | task | CPU seconds | goal | |", "|---|---|---|---|---|"]
    for (workspace, task), goal in GOALS.items():
        own = [r for r in runs if (r.workspace, r.task, r.program) == (workspace, task, OURS)]
        if not own:
            continue
        good = [run for run in own if not run.why]
        found = median(good, "alone") if good else None
        verdict = "met" if found is not None and found <= goal else "missed"
        rows.append(f"| {workspace} | {task} | {seconds(found)} | {goal:g} | {verdict} |")
    return "\n".join(rows)


def again_table(cases, runs, programs):
    """Markdown of a second fit in the same process, without compilation and first allocations."""
    rows = ["| workspace | program | fit | again |", "|---|---|---|---|"]
    for case in cases:
        for name in programs:
            own = [
                r for r in runs
                if (r.workspace, r.program, r.task) == (case.name, name, "fit") and r.again
            ]  # fmt: skip
            if own:
                figures = seconds(median(own, "alone")), seconds(median(own, "again"))
                rows.append(f"| {case.name} | {name} | {' | '.join(figures)} |")
    return "\n".join(rows)


def numbers_table(lines):
    """Markdown of all deviations from the reference."""
    rows = [
        "| workspace | program | number | deviation | tolerance | |",
        "|---|---|---|---|---|---|",
    ]
    for line in lines:
        deviation = "none" if line["deviation"] is None else f"{line['deviation']:.1e}"
        verdict = "PASS" if line["passed"] else "FAIL"
        why = f": {cell(line['why'])}" if line["deviation"] is None and line["why"] else ""
        rows.append(
            f"| {line['workspace']} | {line['program']} | {line['what']} | {deviation} "
            f"| {line['tolerance']:g} | {verdict}{why} |"
        )
    return "\n".join(rows)


def cell(text, width=90):
    """Text that fits into a cell of a table."""
    text = text.replace("|", "/").replace("\n", " ")
    return text if len(text) <= width else text[: width - 3] + "..."


def rankings(cases, runs):
    """Notes on rankings: the largest difference from sideband's, in errors of mu."""
    notes = []
    for case in cases:
        found = {
            run.program: run.found["impacts"]
            for run in runs
            if run.workspace == case.name and run.task == "ranking" and run.found.get("impacts")
        }
        own = found.pop(OURS, {})
        for name, impacts in found.items():
            differences = {
                key: furthest(impacts[key], own[key]) / case.unit
                for key in impacts.keys() & own.keys()
                if None not in (*impacts[key], *own[key])
            }
            if differences:
                worst = max(differences, key=differences.get)
                notes.append(
                    f"{case.name}: {len(differences)} impacts of {name} differ from sideband's by "
                    f"at most {differences[worst]:.1e} errors of mu ({worst})"
                )
            else:
                notes.append(f"{case.name}: no impact of {name} has one of sideband's beside it")
    return notes


def failures(runs):
    """What failed, once each."""
    said = {}
    for run in runs:
        if run.why:
            said[f"{run.workspace}, {run.task}: {run.program}: {cell(run.why, 200)}"] = None
    return list(said)


def versions():
    """Versions of the peers that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def report(chosen, runs, lines, programs, arguments, left_out):
    """All of it as Markdown."""
    parts = [
        f"{arguments.rounds} rounds, {arguments.threads} threads, at most {arguments.seconds:g} s "
        f"a process; {', '.join(f'{name} {v}' for name, v in versions().items())}.",
        "CPU seconds of the task alone, in brackets those of the whole process with its start, its "
        "imports, reading and building; medians. Of sideband the task is the process less one that "
        "reads the workspace (`inspect`). The last two columns: how many times sideband's time the "
        "fastest peer takes that is not wrong (a number more than a thousand tolerances off).",
    ]
    for task in arguments.tasks:
        title = task
        if task == "toys":
            title += f": {arguments.toys} of each hypothesis; sideband throws them at two values "
            title += "and finds the asymptotic limits, and has half of that time here"
        table = times_table(task, chosen, runs, lines, programs, arguments.seconds)
        parts.append(f"### {title}\n\n{table}")
    parts.append(f"### goals\n\n{goals_table(runs)}")
    if "fit" in arguments.tasks and len(programs) > 1:
        parts.append(f"### fit again, CPU seconds\n\n{again_table(chosen, runs, programs)}")
    parts.append(
        "### numbers\n\nDeviations from the reference: of the maximum of log L; of mu in its "
        "errors; the largest of CLs; the largest relative one of limits; of shares in the expected "
        f"limit; of CLs by toys in errors of both.\n\n{numbers_table(lines)}"
    )
    notes = [*left_out, *rankings(chosen, runs), *failures(runs)]
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts)


def record(arguments, load, runs, lines, left_out):
    """All figures, for --json."""
    return {
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "seconds": arguments.seconds,
        "toys": arguments.toys,
        "versions": versions(),
        "runs": [vars(run) for run in runs],
        "numbers": lines,
        "left_out": left_out,
    }


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true",
                        help="sideband alone on the workspaces whose times are goals")  # fmt: skip
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/sideband",
                        help="sideband, target/release/sideband")  # fmt: skip
    parser.add_argument("--folder", type=Path, default=ROOT / "tests/data/workspaces",
                        help="workspaces and their reference, tests/data/workspaces")  # fmt: skip
    parser.add_argument("--workspaces", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK",
                        help=f"of {', '.join(TASKS)}; all of them")  # fmt: skip
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), metavar="NAME",
                        help=f"of {', '.join(PEERS)}; all of them")  # fmt: skip
    parser.add_argument("--numpy-up-to", type=int, default=70, metavar="N",
                        help="most parameters for peers by numpy, 70")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, help="3")
    parser.add_argument("--seconds", type=float, default=120.0, help="limit of a process, 120")
    parser.add_argument("--threads", type=int, default=1, help="processors and threads, 1")
    parser.add_argument("--toys", type=int, default=1000, help="of each hypothesis, 1000")
    parser.add_argument("--json", type=Path, help="write every figure there")
    quick, _ = parser.parse_known_args()
    if quick.quick:
        parser.set_defaults(**QUICK)
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.threads, arguments.toys) < 1 or arguments.seconds <= 0:
        parser.error("--rounds, --threads, --toys and --seconds must be positive")
    if not arguments.program.is_file():
        parser.error(f"--program {arguments.program}: no such file; cargo build --release")
    arguments.program = str(arguments.program.resolve())
    arguments.folder = arguments.folder.resolve()
    if arguments.quick and not arguments.workspaces:
        names = dict.fromkeys(name for name, _ in GOALS)
        there = [n for n in names if (arguments.folder / f"{n}.golden.json").exists()]
        arguments.workspaces = there
    return arguments


def main():
    arguments = parse()
    chosen = cases(arguments.folder, arguments.workspaces)
    peers, left_out = [], []
    for name in arguments.peers:
        missing = comparison.missing(PEERS[name][1])
        if missing:
            left_out.append(f"{name} left out: not installed: {', '.join(missing)}")
        else:
            peers.append(name)
            if name in BY_NUMPY:
                left_out.append(
                    f"{name}: workspaces of at most {arguments.numpy_up_to} parameters alone"
                )
    load = os.getloadavg()[0]
    comparison.restrict(arguments.threads)
    runs, lines = [], []
    try:
        for case in chosen:
            reading = reading_time(
                arguments.program, case, arguments.rounds, arguments.seconds
            )
            for task in arguments.tasks:
                runs += measure(case, task, peers, arguments, reading)
            lines += verdicts(case, runs, arguments.toys)
            if arguments.json:  # after every workspace: what is measured is kept
                text = json.dumps(record(arguments, load, runs, lines, left_out), indent=1)
                arguments.json.write_text(text + "\n")
    except Unavailable as error:
        sys.exit(str(error))
    print(report(chosen, runs, lines, [OURS, *peers], arguments, left_out))
    wrong = [line for line in lines if line["program"] == OURS and not line["passed"]]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

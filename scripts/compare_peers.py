#!/usr/bin/env python3
"""The speed of this program beside that of its peers, as one table of ratios.

usage: compare_peers.py [--rows KEY ...] [--rounds N] [--seconds S] [--threads T]
                        [--members N] [--full] [--json FILE]

Builds the program and its benches once, then runs every program of a row in turn, in
processes of their own on the same processors, and prints Markdown: the median of the rounds'
ratios, their spread, the target, and every program's own figures. Peers that are not installed
or fail are named and left out. All rows in five rounds take one to two hours.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from functools import partial
from pathlib import Path

import comparison
from comparison import (
    OURS,
    PEAK,
    RATE,
    ROOT,
    WALL,
    Program,
    Target,
    Unavailable,
    Workload,
    divan,
    peer,
    run,
)

# Of a member-event of 12-50-50-50-1: two for each weight and product, forward, by weights and
# by inputs, without the gradient by the inputs of the first layer.
W1_FLOP = 6 * (12 * 50 + 2 * 50 * 50 + 50) - 2 * 12 * 50
EVENTS = 200_000
SHIPPED = "sideband, as shipped"


def w1(arguments, programs, members):
    """Training of an ensemble of small networks, and its share of the product rate."""
    bench = "one_thread" if members == 1 else "all_threads"
    options = ["--members", members, "--batch", 1024, *common(arguments)]
    listed = [
        Program(
            OURS,
            partial(divan, programs["w1_step"], f"w1_step::{bench}::{members}", arguments.seconds),
        )
    ]
    peers = {
        "jax-vmap": ("jax", "optax"),
        "torch-bmm-compile": ("torch",),
        "torch-vmap": ("torch",),
    }
    for name, packages in peers.items():
        call = partial(peer, "w1_reweight.py", "--impl", name, *options, metric="train")
        listed.append(Program(name, call, packages))
    factor = 2.0 if members == 100 else 1.2
    targets = [Target(f"W1: training, E = {members}", tuple(peers), factor)]
    note = "one member is trained on one thread" if members == 1 else ""
    if members == 100:
        products = {f"{name} product": name for name in ("numpy", "torch", "torch-batched")}
        for name, implementation in products.items():
            call = partial(peer, "gemm.py", "--impl", implementation, *common(arguments))
            listed.append(Program(name, call, (implementation.split("-")[0],)))
        targets.append(
            Target(
                "W1: share of the f32 product rate, E = 100", tuple(products), 0.6, scale=W1_FLOP
            )
        )
        note = (
            "FLOP of a member-event: 6 (12 50 + 2 50 50 + 50) - 2 12 50 = "
            f"{W1_FLOP}; product: [1024, 50] x [50, 50], FLOP/s"
        )
    return Workload(f"w1-{members}", "member-events/s", listed, targets, note)


def w2_training(arguments, programs):
    """Training of 25 conditional spline flows."""
    call = partial(divan, programs["w2_flow"], "w2_flow::train::25", arguments.seconds)
    listed = [Program(OURS, call)]
    for name, packages in {"jax": ("jax", "optax"), "nflows": ("torch", "nflows")}.items():
        call = partial(
            peer, "w2_flow.py", "--impl", name, "--members", 25, "--batch", 1024,
            "--sampling", 0, *common(arguments), metric="train",
        )  # fmt: skip
        listed.append(Program(name, call, packages))
    targets = [
        Target("W2: flow training, E = 25, to JAX", ("jax",), 3.5),
        Target("W2: flow training, E = 25, to nflows", ("nflows",), 10.0),
    ]
    return Workload("w2-train", "member-events/s", listed, targets)


def w2_sampling(arguments, programs):
    """Sampling of 100 000 events from one flow."""
    call = partial(divan, programs["w2_flow"], "w2_flow::sample", arguments.seconds)
    listed = [Program(OURS, call)]
    peers = {
        "nflows": ("torch", "nflows"),
        "jax": ("jax", "optax"),
        "flowjax": ("jax", "optax", "flowjax"),
    }
    for name, packages in peers.items():
        call = partial(
            peer, "w2_flow.py", "--impl", name, "--training", 0, "--nsample", 100_000,
            *common(arguments), metric="sample",
        )  # fmt: skip
        listed.append(Program(name, call, packages))
    targets = [Target("W2: sampling of 100 000 events", tuple(peers), 3.0)]
    note = "flowjax's coupling flow is another model: no batch norm, no linear layers"
    return Workload("w2-sample", "events/s", listed, targets, note)


def w3(arguments, programs, batch):
    """Training of one large classifier."""
    bench = f"w3_classifier::train::{batch}"
    call = partial(divan, programs["w3_classifier"], bench, arguments.seconds)
    listed = [Program(OURS, call)]
    name = "torch-compile"
    options = ["--impl", name, "--batch", batch, *common(arguments)]
    listed.append(Program(name, partial(peer, "w3_classifier.py", *options), ("torch",)))
    targets = [Target(f"W3: 16-5x1000-1, batch {batch}", (name,), 0.95)]
    return Workload(f"w3-{batch}", "events/s", listed, targets)


def w4(arguments, programs):
    """Value and gradient of the unbinned likelihood."""

    def ours():
        command = [programs["w4_likelihood"], "gradient", str(EVENTS), str(arguments.seconds)]
        return {RATE: run(command).records()[0]["value"]}

    listed = [Program(OURS, ours)]
    jax = ("jax-dot", "jax-cond")
    for name in (*jax, "numpy-manual"):
        call = partial(
            peer, "w4_profile.py", "--impl", name, "--fit", "none", "--events", EVENTS,
            *common(arguments), metric="NLL+grad",
        )  # fmt: skip
        listed.append(Program(name, call, ("jax",) if name in jax else ("numpy",)))
    targets = [Target(f"W4: value and gradient, {EVENTS} events, 10 parameters", jax, 3.0)]
    note = "the gradient of numpy-manual is derived by hand; it does not count for the ratio"
    return Workload("w4", "1/s", listed, targets, note)


def w4_scan(arguments, programs):
    """Fit and 21-point profile scan of the unbinned likelihood, from the same events."""
    folder = tempfile.TemporaryDirectory()

    def ours():
        file = Path(folder.name) / "likelihood.parquet"
        if not file.exists():
            script = ROOT / "scripts/peers/w4_data.py"
            run([sys.executable, script, file, "--events", str(EVENTS)])
        return {WALL: run([programs["w4_likelihood"], "profile", file]).records()[0]["value"]}

    def theirs(name):
        options = [
            "--impl", name, "--fit", "bfgs", "--events", str(EVENTS), "--seconds", "0.1",
            "--repeats", "1", "--threads", str(arguments.threads),
        ]  # fmt: skip
        done = run([sys.executable, ROOT / "scripts/peers/w4_profile.py", *options])
        return {WALL: next(r for r in done.records() if "scan" in r["metric"])["value"]}

    listed = [Program(OURS, ours)]
    peers = {"jax-dot": ("jax",), "numpy-manual": ("numpy",)}
    for name, packages in peers.items():
        listed.append(Program(name, partial(theirs, name), packages))
    what = f"W4: fit and 21-point profile scan, {EVENTS} events, 10 parameters"
    targets = [Target(what, ("jax-dot",), 3.0, OURS, WALL)]
    note = "BFGS stops at a gradient of 1e-2, Sideband at 1e-6 of an error"
    return Workload("w4-scan", "", listed, targets, note, once=True)


def parquet(arguments, programs):
    """Parquet to arrays that can be trained on, by every way that the script knows."""
    script, bench = ROOT / "scripts/peers/read_parquet.py", programs.get("read_parquet")
    ways = ("filtered", "whole_table", "batches", "row_groups", "row_groups_in_place")
    folder = tempfile.TemporaryDirectory()
    checksums = set()

    def rate(*command):
        # `folder` lives as long as this function.
        file = Path(folder.name) / "events.parquet"
        if bench is None or not script.exists():
            raise Unavailable("no benches/read_parquet.rs or scripts/peers/read_parquet.py")
        if not file.exists():
            run([sys.executable, script, "make", file])
        options = [file, "--threads", str(arguments.threads), "--rounds", "3"]
        found = run([*command, *options]).records()[0]
        checksums.add(found["checksum"])
        if len(checksums) > 1:
            raise Unavailable(f"its arrays differ: checksum {found['checksum']}")
        return {RATE: found["rows_per_s"]}

    def ours():
        return rate(bench)

    def theirs(way):
        return rate(sys.executable, script, "read", "--impl", way)

    listed = [Program(OURS, ours)]
    peers = {f"pyarrow, {way}": way for way in ways}
    for name, way in peers.items():
        listed.append(Program(name, partial(theirs, way), ("pyarrow", "numpy")))
    targets = [Target("Parquet to training arrays, 10 million rows", tuple(peers), 2.0)]
    note = "a selection, a matrix of 12 features, weights and flags; arrays equal by checksum"
    return Workload("parquet", "rows/s", listed, targets, note)


def neighbours(arguments, programs):
    """Exact nearest neighbours of a million hemispheres, tree included."""
    script, bench = ROOT / "scripts/peers/neighbours.py", programs.get("neighbours")
    folder = tempfile.TemporaryDirectory()
    checksums = set()

    def rate(*command):
        # `folder` lives as long as this function.
        file = Path(folder.name) / "halves.f64"
        if bench is None:
            raise Unavailable("no benches/neighbours.rs")
        if not file.exists():
            run([sys.executable, script, "make", file])
        options = [file, "--threads", str(arguments.threads), "--rounds", "1"]
        found = run([*command, *options]).records()[0]
        checksums.add(found["checksum"])
        if len(checksums) > 1:
            raise Unavailable(f"it finds others: checksum {found['checksum']}")
        return {RATE: found["halves_per_s"]}

    def ours():
        return rate(bench)

    def theirs(way):
        return rate(sys.executable, script, "find", "--impl", way)

    listed = [Program(OURS, ours)]
    peers = {"scipy cKDTree": "scipy", "scikit-learn": "sklearn"}
    for way, package in peers.items():
        listed.append(Program(way, partial(theirs, way), (package, "numpy")))
    targets = [Target("20 neighbours of a million hemispheres", tuple(peers), 1.0)]
    note = "rows equal by checksum"
    return Workload("neighbours", "hemispheres/s", listed, targets, note)


def quickstart(arguments, programs, key, members):
    """The whole main job, from files to weights of all events."""

    def ours(*more):
        with tempfile.TemporaryDirectory() as folder:
            options = ["--set", f"ensemble.members={members}", *more]
            done = run(
                [programs["sideband"], "run", "configs/quickstart.toml", "--quiet",
                 "--out", f"{folder}/run", *options]
            )  # fmt: skip
        return {WALL: done.wall, PEAK: done.peak_mib}

    def theirs(threads):
        options = ["--members", str(members), "--threads", str(threads)]
        done = run([sys.executable, ROOT / "scripts/peers/quickstart.py", *options])
        return {WALL: done.wall, PEAK: done.peak_mib}

    listed = [
        Program(OURS, partial(ours, "--set", "report.classifier_members=0")),
        Program(SHIPPED, ours),
    ]
    # Small networks gain little from a second thread, and lose much where it is interrupted.
    peers = {f"torch, threads: {count}": count for count in sorted({1, arguments.threads})}
    for name, count in peers.items():
        listed.append(Program(name, partial(theirs, count), ("torch", "numpy", "pyarrow")))
    what = f"quickstart, {members} members"
    targets = [
        Target(f"{what}{title}: {metric}", tuple(peers), factor, subject, metric)
        for title, subject in (("", OURS), (", as shipped", SHIPPED))
        for metric, factor in ((WALL, 5.0), (PEAK, 4.0))
    ]
    note = (
        "PyTorch trains member after member, applies and averages; sideband also writes logs, "
        "checkpoints, figures and the report, and as shipped trains the closure test's classifiers"
    )
    return Workload(key, "", listed, targets, note, once=key.endswith("full"))


def common(arguments):
    """Options that every peer has."""
    return ["--threads", arguments.threads, "--seconds", arguments.seconds]


# Every row: how it is made from the arguments and the executables.
ROWS = {
    "w1-100": partial(w1, members=100),
    "w1-10": partial(w1, members=10),
    "w1-1": partial(w1, members=1),
    "w2-train": w2_training,
    "w2-sample": w2_sampling,
    "w3-1024": partial(w3, batch=1024),
    "w3-8192": partial(w3, batch=8192),
    "w4": w4,
    "w4-scan": w4_scan,
    "parquet": parquet,
    "neighbours": neighbours,
    "quickstart": lambda arguments, programs: quickstart(
        arguments, programs, "quickstart", arguments.members
    ),
}


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="KEY",
                        help=f"rows to measure: {', '.join(ROWS)}; all of them")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="rounds a row, 5")
    parser.add_argument("--seconds", type=float, default=3.0, help="a measurement, 3")
    parser.add_argument("--threads", type=int, default=2, help="processors and threads, 2")
    parser.add_argument("--members", type=int, default=10, help="members of quickstart, 10")
    parser.add_argument("--full", action="store_true",
                        help="also quickstart with its 100 members, one round")  # fmt: skip
    parser.add_argument("--json", type=Path, help="write every round's figures there")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.threads, arguments.members) < 1 or arguments.seconds <= 0:
        parser.error("--rounds, --threads, --members and --seconds must be positive")
    return arguments


def record(arguments, load, results, lines):
    """All figures, for --json; `load` is that of the machine before the build."""
    return {
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "seconds": arguments.seconds,
        "rows": lines,
        "programs": {measured.workload.key: measured.values for measured in results},
        "notes": comparison.notes(results),
    }


def main():
    arguments = parse()
    load = os.getloadavg()[0]
    programs = comparison.build()
    comparison.restrict(arguments.threads)
    workloads = [ROWS[key](arguments, programs) for key in arguments.rows]
    if arguments.full:
        workloads.append(quickstart(arguments, programs, "quickstart-full", 100))
    results, lines = [], []
    for workload in workloads:
        measured = comparison.measure(workload, arguments.rounds)
        results.append(measured)
        lines += [comparison.compare(measured, target) for target in workload.targets]
        if arguments.json:  # after every row: what is measured is kept
            text = json.dumps(record(arguments, load, results, lines), indent=1)
            arguments.json.write_text(text + "\n")
    print(
        f"{arguments.rounds} rounds, {arguments.threads} threads, {arguments.seconds:g} s a "
        f"measurement, load before {load:.2f}, after {os.getloadavg()[0]:.2f}\n"
    )
    print(comparison.table(lines))
    print()
    print(comparison.programs_table(results))
    print()
    for note in comparison.notes(results):
        print(f"- {note}")


if __name__ == "__main__":
    main()

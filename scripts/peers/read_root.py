#!/usr/bin/env python3
"""ROOT files to arrays with uproot, beside `benches/read_parquet.rs --whole`.

usage: read_root.py make FOLDER [--rows N]
       read_root.py compare FOLDER BENCH [--rounds R]

`make` writes N events of six columns (float32 and float64, normal; int32) with every codec, as a
TTree of ten baskets a branch and as an RNTuple. `compare` reads each in turn with uproot, on one
thread, and with BENCH, the executable of benches/read_parquet.rs, on one thread and on two, and
prints as Markdown the medians of the rounds' ratios: how many times as fast as uproot. The bench
gives a row-major float32 matrix of finite values, weights and keys. uproot gives arrays, column by
column; its time is taken without and with making that matrix of them and looking whether its values
are finite.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

import numpy as np
import uproot

CODECS = {
    "none": None,
    "zlib": uproot.ZLIB(1),
    "lz4": uproot.LZ4(1),
    "zstd": uproot.ZSTD(5),
    "lzma": uproot.LZMA(1),
}
FORMS = ["tree", "ntuple"]
BASKETS = 10


def make(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(2024)
    columns = {}
    for k in range(6):
        normal = random.standard_normal(rows)
        # digits that a codec can do something with, as of measured quantities
        normal = np.round(normal * 4096) / 4096
        kind = ["f4", "f8", "i4"][k % 3]
        columns[f"x{k}"] = (normal * (1000 if kind == "i4" else 1)).astype(kind)
    parts = [{k: v[part] for k, v in columns.items()} for part in np.array_split(np.arange(rows), BASKETS)]
    for codec, compression in CODECS.items():
        with uproot.recreate(folder / f"tree_{codec}.root", compression=compression) as file:
            file.mktree("Events", {k: v.dtype for k, v in columns.items()})
            for part in parts:
                file["Events"].extend(part)
        with uproot.recreate(folder / f"ntuple_{codec}.root", compression=compression) as file:
            table = file.mkrntuple("Events", parts[0])
            for part in parts[1:]:
                table.extend(part)


def theirs(path):
    """Seconds until there are arrays, and until there is a matrix."""
    start = time.perf_counter()
    with uproot.open(path) as file:
        arrays = file["Events"].arrays(library="np")
    read = time.perf_counter() - start
    columns = list(arrays.values())
    matrix = np.empty((len(columns[0]), len(columns)), "f4")
    for place, column in enumerate(columns):
        matrix[:, place] = column
    if not np.isfinite(matrix).all():
        raise ValueError(f"{path}: not all values are finite")
    return [read, time.perf_counter() - start]


def ours(bench, path, threads):
    options = ["--whole", "--threads", str(threads), "--rounds", "3"]
    done = subprocess.run([bench, path, *options], check=True, capture_output=True, text=True)
    return statistics.median(json.loads(done.stdout.splitlines()[-1])["seconds"])


def compare(folder, bench, rounds):
    print("| file | arrays, s | one thread | two threads | matrix, s | one thread | two threads |")
    print("|---|---|---|---|---|---|---|")
    for form in FORMS:
        for codec in CODECS:
            path = folder / f"{form}_{codec}.root"
            found = []
            for _ in range(rounds):
                peers = zip(*(theirs(path) for _ in range(3)))
                own = [ours(bench, path, threads) for threads in [1, 2]]
                peers = map(statistics.median, peers)
                found.append([x for peer in peers for x in [peer, peer / own[0], peer / own[1]]])
            medians = (statistics.median(column) for column in zip(*found))
            cells = [f"{x:.{3 if k % 3 == 0 else 2}f}" for k, x in enumerate(medians)]
            print(f"| {form}, {codec} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["make", "compare"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("bench", nargs="?")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.what == "make":
        make(arguments.folder, arguments.rows)
    else:
        compare(arguments.folder, arguments.bench, arguments.rounds)


if __name__ == "__main__":
    main()

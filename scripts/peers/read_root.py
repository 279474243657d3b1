#!/usr/bin/env python3
"""ROOT files to arrays with uproot, beside `benches/read_parquet.rs --whole`.

usage: read_root.py make FOLDER [--rows N]
       read_root.py compare FOLDER BENCH [--rounds R]

`make` writes N events of six columns (float32 and float64, normal; int32) with every codec, as a
TTree of ten baskets a branch and as an RNTuple. `compare` reads each in turn with uproot, on one
thread, and with BENCH, the executable of benches/read_parquet.rs, on one thread and on two, and
prints as Markdown the medians of the rounds' ratios: how many times as fast as uproot. uproot gives
arrays, column by column; the bench a row-major float32 matrix of finite values, weights and keys.
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
    start = time.perf_counter()
    with uproot.open(path) as file:
        file["Events"].arrays(library="np")
    return time.perf_counter() - start


def ours(bench, path, threads):
    options = ["--whole", "--threads", str(threads), "--rounds", "3"]
    done = subprocess.run([bench, path, *options], check=True, capture_output=True, text=True)
    return statistics.median(json.loads(done.stdout.splitlines()[-1])["seconds"])


def compare(folder, bench, rounds):
    print("| file | uproot, s | one thread | two threads |")
    print("|---|---|---|---|")
    for form in FORMS:
        for codec in CODECS:
            path = folder / f"{form}_{codec}.root"
            found = []
            for _ in range(rounds):
                peer = statistics.median(theirs(path) for _ in range(3))
                found.append([peer, peer / ours(bench, path, 1), peer / ours(bench, path, 2)])
            peer, one, two = (statistics.median(column) for column in zip(*found))
            print(f"| {form}, {codec} | {peer:.3f} | {one:.2f} | {two:.2f} |", flush=True)


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

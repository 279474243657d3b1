#!/usr/bin/env python3
"""Exact nearest neighbours of hemispheres with scipy and scikit-learn, beside benches/neighbours.rs.

usage: neighbours.py make FILE [--halves N]
       neighbours.py find FILE [--halves N] [--neighbours K] [--threads T] [--rounds R] [--impl NAME]

`make` writes rows of four numbers (float64, little-endian): what neighbours are alike in, in units of
their standard deviations: abs(pz) from an exponential law, the sums along and across the axis from
gamma laws, a mass that hangs together with them. Two rows are the halves of one event.

`find` takes each half's nearest ones of other events and prints for each way to do it one line of
JSON: the median of the rounds in halves a second, tree included, and a checksum of the rows that the
other program prints too.
"""

import argparse
import json
import statistics
import time

import numpy as np


def make(path, halves):
    """Writes the file."""
    random = np.random.default_rng(2024)
    pz = random.exponential(1.0, halves)
    along = random.gamma(4.0, 1.0, halves)
    across = random.gamma(1.5, 1.0, halves)
    mass = np.sqrt(along * (0.2 + across)) * random.gamma(8.0, 1 / 8.0, halves)
    rows = np.column_stack([pz, along, across, mass])
    rows[:, 1:] /= rows[:, 1:].std(axis=0)
    rows[:, 0] /= np.sqrt((rows[:, 0] ** 2).mean())
    rows.astype("<f8").tofile(path)


def others(found, neighbours):
    """The first neighbours that are no half of the event itself."""
    event = np.arange(len(found))[:, None] // 2
    is_other = found // 2 != event
    # the wanted ones first, in their order
    order = np.argsort(~is_other, axis=1, kind="stable")[:, :neighbours]
    return np.take_along_axis(found, order, axis=1)


def scipy_tree(rows, neighbours, threads):
    from scipy.spatial import cKDTree

    tree = cKDTree(rows)
    return tree.query(rows, neighbours + 2, workers=threads)[1]


def sklearn_tree(rows, neighbours, threads):
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=neighbours + 2, algorithm="kd_tree", n_jobs=threads)
    return search.fit(rows).kneighbors(rows, return_distance=False)


WAYS = {"scipy cKDTree": scipy_tree, "scikit-learn": sklearn_tree}


def checksum(found):
    """The sum modulo 2^64 of every row times its place from 1, times the half's from 1."""
    places = np.arange(1, found.shape[1] + 1, dtype=np.uint64)
    halves = np.arange(1, len(found) + 1, dtype=np.uint64)
    sums = (found.astype(np.uint64) * places).sum(axis=1, dtype=np.uint64)
    return int((sums * halves).sum(dtype=np.uint64))


def find(options):
    """Times each way."""
    rows = np.fromfile(options.file, "<f8").reshape(-1, 4)[: options.halves]
    for name, way in WAYS.items():
        if options.impl not in (None, name):
            continue
        seconds = []
        for _ in range(options.rounds):
            start = time.perf_counter()
            found = others(way(rows, options.neighbours, options.threads), options.neighbours)
            seconds.append(time.perf_counter() - start)
        line = {
            "halves_per_s": round(len(rows) / statistics.median(seconds)),
            "impl": name,
            "halves": len(rows),
            "neighbours": options.neighbours,
            "threads": options.threads,
            "seconds": seconds,
            "checksum": f"{checksum(found):016x}",
        }
        print(json.dumps(line), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["make", "find"])
    parser.add_argument("file")
    parser.add_argument("--halves", type=int, default=1_000_000)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--impl")
    options = parser.parse_args()
    if options.what == "make":
        make(options.file, options.halves)
    else:
        find(options)


if __name__ == "__main__":
    main()

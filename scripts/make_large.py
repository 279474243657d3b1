#!/usr/bin/env python3
"""Make a large two-class sample whose density ratio is known, for tests of scale.

usage: make_large.py OUTPUT_FOLDER [--events N] [--features D] [--shift S] [--seed K]

Half of the events go to source_000.parquet, source_001.parquet, ..., the other
half to target_000.parquet, ...; at most 10 million events a file, 500 000 a row
group. One row group at a time is in memory. Needs numpy and pyarrow.

The truth, with mu_d = (-1)^d S / sqrt(D), so that |mu| = S:

    source  x ~ Normal(0, 1),  target  x ~ Normal(mu, 1),  features independent
    log p_target(x) / p_source(x) = mu . x - S^2 / 2
    AUC of the best classifier = Phi(S / sqrt(2)), 0.7602 for S = 1

Columns: x0 ... x{D-1} and weight (float32), event_id (int64, counted through both
classes, source first). Weights are uniform in [0.5, 1.5) and independent of x, so
that the ratio of the weighted densities is the same; their mean is 1, and so is
the ratio of the yields, within the fluctuation.

A row group is a function of (seed, class, number of the group), D and S.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

EVENTS = 50_000_000
FEATURES = 6
SHIFT = 1.0
SEED = 20240
CLASSES = ["source", "target"]
ROW_GROUP_ROWS = 500_000
FILE_ROWS = 10_000_000


def means(name, features, shift):
    """Means of the features of a class; all variances are 1."""
    signs = np.where(np.arange(features) % 2 == 0, 1.0, -1.0)
    return signs * (shift / math.sqrt(features) if name == "target" else 0.0)


def schema(features):
    floats = [(f"x{d}", pa.float32()) for d in range(features)] + [("weight", pa.float32())]
    return pa.schema(floats + [("event_id", pa.int64())])


def row_group(name, group, rows, first_id, arguments):
    """Row group number `group` of a class."""
    key = (arguments.seed, CLASSES.index(name), group)
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
    columns = []
    for mean in means(name, arguments.features, arguments.shift):
        columns.append(random.standard_normal(rows, dtype=np.float32) + np.float32(mean))
    columns.append(random.random(rows, dtype=np.float32) + np.float32(0.5))
    columns.append(np.arange(first_id, first_id + rows, dtype=np.int64))
    return pa.table(columns, schema=schema(arguments.features))


def write_file(name, number, first_row, rows, first_id, arguments):
    """One file, which appears when it is finished; its size in bytes."""
    path = arguments.output_folder / f"{name}_{number:03}.parquet"
    unfinished = path.with_suffix(".unfinished")
    writer = pq.ParquetWriter(
        unfinished,
        schema(arguments.features),
        # Random floats do not get smaller; ids are all differences of 1.
        compression="none",
        use_dictionary=False,
        column_encoding={"event_id": "DELTA_BINARY_PACKED"},
    )
    with writer:
        for start in range(first_row, first_row + rows, ROW_GROUP_ROWS):
            length = min(ROW_GROUP_ROWS, first_row + rows - start)
            group = start // ROW_GROUP_ROWS
            table = row_group(name, group, length, first_id + start, arguments)
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
    unfinished.rename(path)
    return path.stat().st_size


def make_class(name, rows, first_id, arguments):
    for number, first_row in enumerate(range(0, rows, FILE_ROWS)):
        length, start = min(FILE_ROWS, rows - first_row), time.perf_counter()
        size = write_file(name, number, first_row, length, first_id, arguments)
        seconds = time.perf_counter() - start
        print(
            f"{name}_{number:03}.parquet: {length} events, {size} bytes, {seconds:.1f} s, "
            f"{length / seconds / 1e6:.2f} million events/s",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output_folder", type=Path, help="folder to write the files to")
    parser.add_argument("--events", type=int, default=EVENTS, help="of both classes together")
    parser.add_argument("--features", type=int, default=FEATURES, help="number of features D")
    parser.add_argument("--shift", type=float, default=SHIFT, help="distance of the means S")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    if arguments.events < 2 or arguments.features < 1 or arguments.seed < 0:
        parser.error("needs at least 2 events, 1 feature and a seed not below 0")
    arguments.output_folder.mkdir(parents=True, exist_ok=True)
    source = arguments.events // 2
    start = time.perf_counter()
    make_class("source", source, 0, arguments)
    make_class("target", arguments.events - source, source, arguments)
    seconds = time.perf_counter() - start
    rate = arguments.events / seconds / 1e6
    print(f"{arguments.events} events in {seconds:.1f} s, {rate:.2f} million events/s")


if __name__ == "__main__":
    main()

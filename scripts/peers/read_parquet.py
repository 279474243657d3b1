#!/usr/bin/env python3
"""Parquet to training arrays with pyarrow and numpy, beside benches/read_parquet.rs.

usage: read_parquet.py make FILE [--rows N]
       read_parquet.py read FILE [--threads T] [--rounds R] [--impl NAME]

`make` writes N events as pyarrow does by default (snappy, dictionaries where they
pay, row groups of 1 048 576 rows): x0 ... x11 and weight (float32, normal and uniform
in [0.5, 1.5)), in_region (bool, 70 % true), category (int32, 0 to 3). `read` takes the
rows with in_region && x0 > -1 and makes of them

    a row-major float32 matrix [N, 12], all finite,
    float64 weights, all finite,
    uint8 flags: bit 0 for category < 2, bit 1 for category >= 2,

and prints for each way to do it one line of JSON: the median of the rounds in rows of
the file a second, the peak of the process so far, and a checksum of the arrays that
the other program prints too. Ask for one --impl for a peak of its own.
"""

import argparse
import json
import resource
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FEATURES = [f"x{d}" for d in range(12)]
COLUMNS = [*FEATURES, "weight", "in_region", "category"]
ROW_GROUP_ROWS = 1 << 20
TILE_ROWS = 4096


def make(path, rows):
    """Writes the file, one row group in memory at a time."""
    floats = [(name, pa.float32()) for name in [*FEATURES, "weight"]]
    schema = pa.schema([*floats, ("in_region", pa.bool_()), ("category", pa.int32())])
    with pq.ParquetWriter(path, schema) as writer:
        for group, start in enumerate(range(0, rows, ROW_GROUP_ROWS)):
            n = min(ROW_GROUP_ROWS, rows - start)
            random = np.random.default_rng((2024, group))
            columns = [random.standard_normal(n, dtype=np.float32) for _ in FEATURES]
            columns.append(random.random(n, dtype=np.float32) + np.float32(0.5))
            columns.append(random.random(n) < 0.7)
            columns.append(random.integers(0, 4, n, dtype=np.int32))
            writer.write_table(pa.table(columns, schema=schema), row_group_size=ROW_GROUP_ROWS)


def flags_of(category):
    return (category < 2).astype(np.uint8) | ((category >= 2).astype(np.uint8) << 1)


def check(matrix, weights):
    """Refuses what is not finite. The sum is finite only if all terms are."""
    if np.isfinite(matrix.sum()) and np.isfinite(weights.sum()):
        return
    if not (np.isfinite(matrix).all() and np.isfinite(weights).all()):
        raise ValueError("a feature or a weight is not finite")


def selected(table):
    """The mask of the selection for a table or batch."""
    return pc.and_(table["in_region"], pc.greater(table["x0"], -1.0))


def filtered(path, _threads):
    """The filter handed to the reader, columns stacked by numpy."""
    wanted = (pc.field("in_region")) & (pc.field("x0") > -1.0)
    table = pq.read_table(path, columns=COLUMNS, filters=wanted)
    matrix = np.column_stack([table[name].to_numpy() for name in FEATURES])
    weights = table["weight"].to_numpy().astype(np.float64)
    check(matrix, weights)
    return matrix, weights, flags_of(table["category"].to_numpy())


def whole_table(path, _threads):
    """All columns read at once; masks and a preallocated matrix in numpy."""
    table = pq.read_table(path, columns=COLUMNS)
    mask = selected(table).to_numpy()
    matrix = np.empty((np.count_nonzero(mask), len(FEATURES)), np.float32)
    for d, name in enumerate(FEATURES):
        matrix[:, d] = table[name].to_numpy()[mask]
    weights = table["weight"].to_numpy()[mask].astype(np.float64)
    check(matrix, weights)
    return matrix, weights, flags_of(table["category"].to_numpy()[mask])


def fill(batch, matrix, weights, flags):
    """The selected rows of a batch into the start of the arrays; their number."""
    rows = np.flatnonzero(selected(batch).to_numpy(zero_copy_only=False))
    columns = [batch[name].to_numpy() for name in FEATURES]
    n = len(rows)
    # In tiles that stay in the cache: a column is written with a long stride.
    for start in range(0, n, TILE_ROWS):
        tile = rows[start : start + TILE_ROWS]
        for d, column in enumerate(columns):
            matrix[start : start + len(tile), d] = column.take(tile)
    weights[:n] = batch["weight"].to_numpy().take(rows)
    flags[:n] = flags_of(batch["category"].to_numpy().take(rows))
    check(matrix[:n], weights[:n])
    return n


def arrays(rows):
    return (
        np.empty((rows, len(FEATURES)), np.float32),
        np.empty(rows, np.float64),
        np.empty(rows, np.uint8),
    )


def batches(path, _threads):
    """A stream of batches, decoded by threads, into arrays long enough for all rows."""
    with pq.ParquetFile(path, pre_buffer=True) as file:
        out = arrays(file.metadata.num_rows)
        n = 0
        for batch in file.iter_batches(1 << 17, columns=COLUMNS, use_threads=True):
            n += fill(batch, *(array[n:] for array in out))
    return tuple(array[:n] for array in out)


def row_groups(path, threads):
    """A row group for each thread at a time, put together at the end."""
    with pq.ParquetFile(path) as file:
        groups = file.num_row_groups

    def read(group):
        with pq.ParquetFile(path) as file:
            table = file.read_row_group(group, columns=COLUMNS, use_threads=False)
        batch = table.combine_chunks().to_batches()[0]
        out = arrays(batch.num_rows)
        n = fill(batch, *out)
        return tuple(array[:n] for array in out)

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(read, range(groups)))
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def row_groups_in_place(path, threads):
    """A row group for each thread at a time, written to the place of its rows in
    arrays for all rows, which then close up."""
    with pq.ParquetFile(path) as file:
        lengths = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    out = arrays(starts[-1])

    def read(group):
        with pq.ParquetFile(path) as file:
            table = file.read_row_group(group, columns=COLUMNS, use_threads=False)
        batch = table.combine_chunks().to_batches()[0]
        return fill(batch, *(array[starts[group] :] for array in out))

    with ThreadPoolExecutor(threads) as pool:
        counts = list(pool.map(read, range(len(lengths))))
    n = 0
    for start, count in zip(starts, counts, strict=False):
        for array in out:
            array[n : n + count] = array[start : start + count]
        n += count
    return tuple(array[:n] for array in out)


IMPLEMENTATIONS = {
    f.__name__: f for f in (filtered, whole_table, batches, row_groups, row_groups_in_place)
}


def checksum(matrix, weights, flags):
    """The sum modulo 2^64 of every array's bits, each times its place from 1."""
    total = 0
    for array, bits in ((matrix.ravel(), np.uint32), (weights, np.uint64), (flags, np.uint8)):
        for start in range(0, len(array), 1 << 20):
            block = array[start : start + (1 << 20)].view(bits).astype(np.uint64)
            place = np.arange(start + 1, start + 1 + len(block), dtype=np.uint64)
            total += int((block * place).sum(dtype=np.uint64))
    return f"{total % 2**64:016x}"


def read(arguments):
    pa.set_cpu_count(arguments.threads)
    pa.set_io_thread_count(arguments.threads)
    names = [arguments.impl] if arguments.impl else list(IMPLEMENTATIONS)
    rows = pq.ParquetFile(arguments.file).metadata.num_rows
    for name in names:
        seconds, cpu_seconds = [], []
        for _ in range(arguments.rounds):
            start, cpu_start = time.perf_counter(), time.process_time()
            out = IMPLEMENTATIONS[name](arguments.file, arguments.threads)
            seconds.append(time.perf_counter() - start)
            cpu_seconds.append(time.process_time() - cpu_start)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            proof = (len(out[1]), checksum(*out))
            del out
        line = {
            "rows_per_s": round(rows / statistics.median(seconds)),
            "impl": f"pyarrow {pa.__version__} {name}",
            "threads": arguments.threads,
            "peak_mib": round(peak),
            "seconds": [round(s, 3) for s in seconds],
            "cpu_seconds": [round(s, 2) for s in cpu_seconds],
            "selected": proof[0],
            "checksum": proof[1],
        }
        print(json.dumps(line), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = parser.add_subparsers(dest="mode", required=True)
    maker = modes.add_parser("make", help="write the file")
    maker.add_argument("file", type=Path)
    maker.add_argument("--rows", type=int, default=10_000_000)
    reader = modes.add_parser("read", help="read it and time it")
    reader.add_argument("file", type=Path)
    reader.add_argument("--threads", type=int, default=2)
    reader.add_argument("--rounds", type=int, default=5)
    reader.add_argument("--impl", choices=list(IMPLEMENTATIONS))
    arguments = parser.parse_args()
    if arguments.mode == "make":
        make(arguments.file, arguments.rows)
    else:
        read(arguments)


if __name__ == "__main__":
    main()

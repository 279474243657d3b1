#!/usr/bin/env python3
"""Inputs that nobody wrote: whatever is in a file, the program ends with a code and a message.

    scripts/fuzz.py [--program PATH] [--minutes M] [--cases N] [--first N] [--seed S] [--jobs J]
                    [--only KIND,KIND] [--findings FOLDER] [--seconds S] [--memory MIB]

Inputs are mutations of real ones and, of expressions, made by the grammar:

    root        tests/data/root: bits, words, lengths, spans, splices of two files; blocks are unpacked,
                changed and packed again in their place, descriptions of RNTuples get their checksums
    parquet     tests/data/jets and small files of lists in lists, nulls, dictionaries and odd types,
                with every codec and encoding
    arrow       the same as Arrow files and streams
    config      configs and tests/data/configurations: values, keys, lines, numbers, nesting, --set
    expression  selections, weights, definitions, features
    workspace   tests/data/workspaces and a small one with all modifiers, patch sets and JSON patches for
                them: values, names, lists and operations, bytes, packed and not

They go through `inspect`, `plan` and `init`, workspaces through `fit`, `limit`, `scan`, `impacts` and
`combine`. A case is a finding if the program ends by a signal or
with another exit code than the README has for a wrong input, reports a fault of its own (a panic
anywhere becomes an error with exit code 70, in a reader of files "the decoder gave up"), says nothing
where it fails, takes longer than --seconds, more memory than --memory, or writes what a terminal acts
on. A decoder that gave up is none where it is another's, of Parquet and Arrow.

Case number N of a kind and seed is the same input everywhere, with the same numpy and pyarrow:
`--only KIND --seed S --first N --cases 1` is that one alone. A finding is a folder with all that it
takes, and the command in `command.txt`. Exit code 1 if there is one, 0 if there is none, 77 if numpy or
pyarrow are not there. Needs Python 3.9 and a POSIX system.
"""

import argparse
import collections
import copy
import functools
import gzip
import hashlib
import json
import lzma
import multiprocessing
import operator
import os
import pathlib
import random
import re
import resource
import shlex
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time
import zlib

try:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as missing:
    print(f"no module {missing.name}: pip install numpy pyarrow", file=sys.stderr)
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = ["root", "parquet", "arrow", "config", "expression", "workspace"]
# what a wrong input may end with: ok, usage, config, data, device, partial
CODES = {0, 2, 3, 4, 5, 6}
OWN_FAULTS = [b"panicked", b"a fault of the program", b"stack overflow"]
GAVE_UP = b"the decoder gave up"
# of one kind of finding, so many are kept
KEPT = 3
NUMBERS = [0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 1 << 20,
           (1 << 24) - 1, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 56,
           (1 << 63) - 1, 1 << 63, (1 << 64) - 1]  # fmt: skip
ODD_TEXT = ["", " ", "\t", "\n", "\0", "\x1b[2J", "\u202e", "\u200b", "é", "pₜ", "∞", "𝕏", "\ufeff", "'",
            '"', "\\", "`", "${year}", "${", "}", "..", "/", "//", "~", "%s", "{}", "*", "[", "]",
            "x" * 300, "(" * 80, "<b>&amp;</b>", "NaN", "inf", "null", "true", "file:///dev/zero",
            "/dev/zero", "/dev/stdin", "/proc/self/mem", "run:x", "pi", "a-b"]  # fmt: skip
ODD_VALUES = ["0", "-1", "1", "2", "1e308", "-1e308", "1e-320", "nan", "-inf", "inf", "0.5", "1.5", "-0.0",
              "9223372036854775807", "-9223372036854775808", "9223372036854775808", "4294967296", "1_0",
              "0x7fffffff", "true", "false", '""', '"x"', "[]", "[[]]", "{}", "[1]", "[0.0, 1.0]",
              '["pt"]', '["pt", "pt"]', "[1, \"x\"]", "[nan]", "{ a = 1 }", "{ kind = \"adam\" }",
              "1979-05-27", "100000", "1000000000", "100000000000000"]  # fmt: skip


# ---- checksums and blocks of ROOT files ----------------------------------------------------------

M64 = (1 << 64) - 1
P32 = [0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D]
P64 = [0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5]
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def word(data, at, size=8):
    return int.from_bytes(data[at : at + size], "little")


def folded(a, b):
    product = a * b
    return (product ^ product >> 64) & M64


def avalanche(h):
    h = (h ^ h >> 37) * 0x165667919E3779F9 & M64
    return h ^ h >> 32


def xxh3(data):
    """XXH3 of 64 bits, of more than 128 bytes; none of fewer."""
    length = len(data)
    if length <= 128:
        return None
    if length <= 240:
        mix = lambda at, of: folded(word(data, at) ^ word(SECRET, of), word(data, at + 8) ^ word(SECRET, of + 8))
        acc = length * P64[0] & M64
        for i in range(8):
            acc += mix(16 * i, 16 * i)
        acc = avalanche(acc & M64)
        for i in range(8, length // 16):
            acc += mix(16 * i, 16 * (i - 8) + 3)
        return avalanche(acc + mix(length - 16, 136 - 17) & M64)
    acc = [P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]]

    def stripe(at, secret):
        for i in range(8):
            value = word(data, at + 8 * i)
            key = value ^ word(SECRET, secret + 8 * i)
            acc[i ^ 1] = acc[i ^ 1] + value & M64
            acc[i] = acc[i] + (key & 0xFFFFFFFF) * (key >> 32) & M64

    stripes = (len(SECRET) - 64) // 8
    blocks = (length - 1) // (64 * stripes)
    for block in range(blocks):
        for n in range(stripes):
            stripe(64 * (block * stripes + n), 8 * n)
        for i in range(8):
            acc[i] = (acc[i] ^ acc[i] >> 47 ^ word(SECRET, len(SECRET) - 64 + 8 * i)) * P32[0] & M64
    for n in range((length - 1 - 64 * stripes * blocks) // 64):
        stripe(64 * (blocks * stripes + n), 8 * n)
    stripe(length - 64, len(SECRET) - 64 - 7)
    merged = length * P64[0] & M64
    for i in range(4):
        merged += folded(acc[2 * i] ^ word(SECRET, 11 + 16 * i), acc[2 * i + 1] ^ word(SECRET, 19 + 16 * i))
    return avalanche(merged & M64)


def envelope_length(data, at):
    """Length of a description of an RNTuple that begins there, or nothing."""
    first = word(data, at)
    length = first >> 16
    if first & 0xFFFF in (1, 2, 3) and 136 < length <= len(data) - at:
        if xxh3(data[at : at + length - 8]) == word(data, at + length - 8):
            return length
    return None


def envelopes(data):
    """Places of the descriptions that are not packed."""
    found = []
    for match in re.finditer(rb"(?=[\x01-\x03]\x00..\x00\x00\x00\x00)", data, re.DOTALL):
        length = envelope_length(data, match.start())
        if length:
            found.append((match.start(), length))
    return found


def unpack(codec, packed, size):
    if codec == b"ZL":
        return zlib.decompress(packed)
    if codec == b"XZ":
        return lzma.decompress(packed)
    return pa.Codec("zstd").decompress(packed, size).to_pybytes()


def pack(codec, plain):
    if codec == b"ZL":
        return zlib.compress(plain, 9)
    if codec == b"XZ":
        return lzma.compress(plain, preset=9)
    return pa.Codec("zstd", compression_level=19).compress(plain).to_pybytes()


def blocks(data):
    """Packed blocks: place, codec, their packed bytes."""
    found = []
    for match in re.finditer(rb"ZL\x08|ZS\x01|XZ\x00", data):
        at, codec = match.start(), match.group()[:2]
        packed, size = word(data, at + 3, 3), word(data, at + 6, 3)
        if packed and at + 9 + packed <= len(data) and size < 1 << 20:
            try:
                plain = unpack(codec, data[at + 9 : at + 9 + packed], size)
            except Exception:  # it only looked like one
                continue
            found.append((at, codec, packed, plain))
    return found


# ---- mutations of bytes -----------------------------------------------------------------------------

def place(rng, length):
    """A place, more often near the ends, where descriptions are."""
    near = min(length, 1 + int(rng.expovariate(1 / 300)))
    return rng.choice([rng.randrange(length), rng.randrange(length), near - 1, length - near])


def mutate_once(rng, data, others, fixed):
    """One change; of the same length where that is `fixed`."""
    length = len(data)
    if length < 16:
        return data + bytes(16)
    at = place(rng, length)
    kind = rng.randrange(8 if fixed else 13)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    elif kind in (2, 3, 4):
        size = rng.choice([2, 4, 4, 8])
        at = min(at, length - size)
        order = rng.choice(["big", "little"])
        value = rng.choice([rng.choice(NUMBERS), length + rng.randrange(-3, 4), rng.getrandbits(8 * size)])
        if kind == 4:
            value = int.from_bytes(data[at : at + size], order) + rng.randrange(-20, 21)
        elif rng.random() < 0.2:
            value = -value
        data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, order)
    elif kind == 5:
        size = rng.randrange(1, 64)
        data[at : at + size] = bytes([rng.choice([0, 0xFF])]) * len(data[at : at + size])
    elif kind == 6:
        size, other = rng.randrange(1, 64), rng.randrange(length)
        size = min(size, length - at, length - other)
        data[at : at + size], data[other : other + size] = data[other : other + size], data[at : at + size]
    elif kind == 7:
        size, other = rng.randrange(1, 256), rng.randrange(length)
        size = min(size, length - at, length - other)
        data[at : at + size] = data[other : other + size]
    elif kind == 8:
        del data[at:]
    elif kind == 9:
        del data[at : at + rng.randrange(1, 64)]
    elif kind == 10:
        data[at:at] = data[at : at + rng.randrange(1, 512)] * rng.choice([1, 1, 2, 50])
    elif kind == 11:
        data[at:at] = rng.randbytes(rng.randrange(1, 32))
    else:
        other = rng.choice(others)
        start = rng.randrange(len(other)) if rng.random() < 0.5 else min(at, len(other))
        data[at:] = other[start:]
    return data


def mutate(rng, data, others, fixed=False):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        data = mutate_once(rng, data, others, fixed)
    return bytes(data)


def described(rng, plain):
    """A description of an RNTuple, changed, with its checksum."""
    changed = bytearray(mutate(rng, plain[8:-8], [], True))
    if rng.random() < 0.1:
        plain = rng.randrange(4).to_bytes(2, "little") + plain[2:]
    changed = plain[:8] + changed
    return bytes(changed + (xxh3(changed) or 0).to_bytes(8, "little"))


class RootFile:
    """A ROOT file with what is in its blocks."""

    def __init__(self, path):
        self.data = path.read_bytes()
        self.blocks = blocks(self.data)
        self.envelopes = envelopes(self.data)

    def mutated(self, rng, others):
        choice = rng.random()
        data = bytearray(self.data)
        if choice < 0.35 and self.envelopes:
            at, length = rng.choice(self.envelopes)
            data[at : at + length] = described(rng, self.data[at : at + length])
            return bytes(data)
        if choice < 0.35 and self.blocks:
            at, codec, room, plain = rng.choice(self.blocks)
            if envelope_length(plain, 0) == len(plain):
                plain = described(rng, plain)
            else:
                plain = mutate(rng, plain, [], True)
            packed = pack(codec, plain)
            if len(packed) <= room:
                sizes = len(packed).to_bytes(3, "little")
                data[at + 3 : at + 6] = sizes
                data[at + 9 : at + 9 + room] = packed + bytes(room - len(packed))
                return bytes(data)
        return mutate(rng, data, others)


# ---- files to begin with -------------------------------------------------------------------------

def odd_table(rng, rows):
    """Columns of every type, as lists and not, with nulls."""
    numbers = rng.normal(size=rows)
    lengths = rng.integers(0, 4, rows)
    flat = rng.normal(size=int(lengths.sum())).astype("f4")
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    some = lambda share: rng.random(rows) < share
    inner = pa.ListArray.from_arrays(pa.array(np.arange(len(flat) + 1), pa.int32()), pa.array(flat))
    codes = rng.integers(0, 3, rows)
    columns = {
        "pt": pa.array(numbers),
        "null": pa.array(numbers, mask=some(0.3)),
        "i8": pa.array(rng.integers(-9, 9, rows), pa.int8(), mask=some(0.1)),
        "u64": pa.array(rng.integers(0, 1 << 62, rows), pa.uint64()),
        "half": pa.array(numbers.astype("f2")),
        "flag": pa.array(numbers > 0, mask=some(0.1)),
        "list": pa.ListArray.from_arrays(pa.array(offsets, pa.int32(), mask=np.append(some(0.2), False)), pa.array(flat)),
        "large": pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(flat > 0)),
        "fixed": pa.FixedSizeListArray.from_arrays(pa.array(rng.integers(0, 99, 3 * rows)), 3),
        "nested": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), inner),
        "coded": pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array([10, 20, 30])),
        "words": pa.array([f"word {c}" for c in codes]),
        "coded_words": pa.array([f"word {c}" for c in codes]).dictionary_encode(),
        "decimal": pa.array(codes, pa.int32()).cast(pa.decimal128(12, 0)),
        "fraction": pa.array(codes, pa.int32()).cast(pa.decimal128(12, 2)),
        "time": pa.array(codes.astype("i8"), pa.timestamp("us")),
        "record": pa.StructArray.from_arrays([pa.array(numbers), pa.array(codes)], ["a", "b"]),
        "map": pa.array([[("a", 1.0)] * int(n) for n in lengths], pa.map_(pa.string(), pa.float64())),
        "nothing": pa.nulls(rows),
        "bytes": pa.array([b"x"] * rows, pa.binary()),
    }  # fmt: skip
    return pa.table(columns)


def parquet_files(folder):
    """Small Parquet files of every kind, each with the name of its columns in `INPUTS`."""
    rng = np.random.default_rng(1)
    jets = pq.read_table(ROOT / "tests/data/jets/jets_3b.parquet")
    tables = {"jets": jets.slice(0, 60), "odd": odd_table(rng, 50)}
    options = [
        {"compression": "none", "use_dictionary": False},
        {"compression": "none", "use_dictionary": True, "data_page_version": "2.0", "row_group_size": 20},
        {"compression": "snappy", "data_page_size": 64, "write_page_index": True},
        {"compression": "zstd", "use_dictionary": False, "store_schema": False},
        {"compression": "gzip", "write_page_checksum": True},
        {"compression": "lz4", "use_dictionary": True, "version": "1.0"},
        {"compression": "brotli", "use_dictionary": False, "data_page_version": "2.0"},
    ]
    found = []
    for name, table in tables.items():
        for number, option in enumerate(options):
            path = folder / f"{name}_{number}.parquet"
            half = ["half"] if option.get("version") == "1.0" and name == "odd" else []
            pq.write_table(table.drop_columns(half), path, **option)
            found.append((name, path.read_bytes()))
    flat = pa.table({"x": rng.normal(size=40), "n": rng.integers(0, 5, 40)})
    for encoding in ["PLAIN", "BYTE_STREAM_SPLIT"]:
        path = folder / f"flat_{encoding}.parquet"
        columns = {"x": encoding, "n": "DELTA_BINARY_PACKED"}
        pq.write_table(flat, path, use_dictionary=False, column_encoding=columns, compression="none")
        found.append(("flat", path.read_bytes()))
    return found


def arrow_files(folder):
    rng = np.random.default_rng(2)
    jets = pq.read_table(ROOT / "tests/data/jets/jets_3b.parquet").slice(0, 40)
    found = []
    for name, table in {"jets": jets, "odd": odd_table(rng, 40)}.items():
        for codec in [None, "lz4", "zstd"]:
            for maker in [pa.ipc.new_file, pa.ipc.new_stream]:
                sink = pa.BufferOutputStream()
                with maker(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
                    writer.write_table(table, max_chunksize=25)
                found.append((name, sink.getvalue().to_pybytes()))
    return found


# What is computed with the columns of a file, in a plan.
INPUTS = {
    "jets": ["m_h1", "sum(jet_pt)", "jet_eta[0]", "count(jet_pt > 60)"],
    "odd": ["pt", "sum(list)", "count(large)", "fixed[1]", "sum(sum(nested))", "coded", "decimal"],
    "flat": ["x", "n"],
    "tree": ["x_f4", "sum(jet_f4)", "count(jet_i8 > 0)", "x_i4 / 1e9", "len(jet_bool)"],
    "root": ["n", "sum(pt)", "d"],
    "rntuple": ["x", "sum(pt)", "p[1]"],
}  # fmt: skip
PLAN = """
[experiment]
name = "fuzz"
method = "reweight"
[data]
on_missing = "drop"
max_loss = 1.0
[data.source]
path = {source}
{weight}
[data.target]
path = {target}
[data.define]
{define}
[regions.all]
selection = {selection}
[features]
inputs = {inputs}
[training]
region = "all"
batch = 4
[ensemble]
members = 2
[report]
classifier_members = 0
{variables}
"""


def quoted(text):
    """A text as TOML has it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def plan_of(source, target, inputs, selection="1", weight=None, define=(), variables=()):
    lines = [f"{quoted(name)} = {quoted(value)}" for name, value in define]
    more = [f"[[report.variables]]\nname = \"v{k}\"\nexpression = {quoted(text)}\nbins = 3" for k, text in enumerate(variables)]
    return PLAN.format(
        source=quoted(source), target=quoted(target), selection=quoted(selection),
        weight="" if weight is None else f"weight = {quoted(weight)}",
        inputs="[" + ", ".join(map(quoted, inputs)) + "]", define="\n".join(lines), variables="\n".join(more),
    )  # fmt: skip


# ---- cases ---------------------------------------------------------------------------------------

class Files:
    """Mutations of files of events."""

    def __init__(self, folder, suffix, files):
        # name of its columns and tree, bytes, how it is changed
        self.suffix, self.files = suffix, files
        self.others = [data for _, _, data, _ in files]
        self.folder = folder

    def case(self, rng):
        name, tree, data, change = rng.choice(self.files)
        mutated = change(rng, self.others)
        source, target = f"source.{self.suffix}", f"target.{self.suffix}"
        files = {source: mutated, target: data}
        way = rng.random()
        behind = f":{tree}" if tree and rng.random() < 0.7 else ""
        if way < 0.6:
            return files, ["inspect", source + behind] + (["--json"] if rng.random() < 0.3 else [])
        if way < 0.7:
            both = [source + behind, target + (f":{tree}" if tree else "")]
            return files, ["init", *(both if rng.random() < 0.7 else both[:1]), "--out", "made.toml"]
        inputs = INPUTS[name]
        chosen = rng.sample(inputs, rng.randrange(1, len(inputs) + 1))
        files["plan.toml"] = plan_of(source + behind, target + (f":{tree}" if tree else ""), chosen).encode()
        return files, ["plan", "plan.toml", "--no-calibration"]


def root_cases(folder):
    files = []
    for path in sorted((ROOT / "tests/data/root").glob("*.root")):
        if path.stem.startswith("blocks"):
            continue
        root = RootFile(path)
        name = {"root_tree": "root", "root_ntuple": "rntuple"}.get(path.stem, "tree")
        # what is not packed is changed more often
        weight = 4 if path.stem.endswith("none") or path.stem.startswith("root_") else 1
        files += weight * [(name, "Events", root.data, root.mutated)]
    return Files(folder, "root", files)


def of_bytes(found):
    return [(name, None, data, lambda rng, others, data=data: mutate(rng, data, others)) for name, data in found]


class Expressions:
    """Random expressions, and real ones changed."""

    SCALARS = ["x", "n", "flag", "null", "big", "coded"]
    LISTS = ["list", "more", "tags", "nested"]
    ONE = ["abs", "sqrt", "log", "log10", "log2", "exp", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
           "cosh", "tanh", "asinh", "floor", "ceil", "round", "sign"]  # fmt: skip
    FOLDS = ["len", "sum", "count", "any", "all", "min", "max", "argmin", "argmax"]
    TWO = ["min", "max", "atan2", "hypot"]
    BINARY = ["+", "-", "*", "/", "%", "^", "<", "<=", ">", ">=", "==", "!=", "&&", "||"]
    VALUES = ["0", "1", "-1", "2", "0.5", "1e308", "1e-320", "1e999", "9007199254740993", "1e18",
              "170141183460469231731687303715884105727", "340282366920938463463374607431768211456", ".5", "5.",
              "1_000", "0x10", "pi", "e", "nan", "inf", "true"]  # fmt: skip

    def __init__(self, folder):
        rng = np.random.default_rng(3)
        rows = 60
        table = odd_table(rng, rows)
        lengths = rng.integers(0, 4, rows)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        lists = lambda values: pa.ListArray.from_arrays(offsets, values)
        count = int(lengths.sum())
        columns = {
            "x": table["pt"], "n": pa.array(rng.integers(-3, 9, rows)), "flag": table["flag"], "null": table["null"],
            "big": pa.array(rng.integers(-(1 << 62), 1 << 62, rows)), "coded": table["coded"],
            "list": lists(pa.array(rng.normal(size=count))), "more": lists(pa.array(rng.integers(-1, 3, count))),
            "tags": lists(pa.array(rng.random(count) < 0.5)), "nested": table["nested"],
        }  # fmt: skip
        for name, seed in [("source", 0), ("target", 10)]:
            pq.write_table(pa.table(columns).slice(seed), folder / f"{name}.parquet")
        self.fixed = {f"{name}.parquet": (folder / f"{name}.parquet").read_bytes() for name in ["source", "target"]}
        texts = [path.read_text() for path in (ROOT / "configs").glob("*.toml")]
        found = re.findall(r'"([^"\n]*[-+*/<>=(\[][^"\n]*)"', "\n".join(sorted(texts)))
        self.real = sorted({text for text in found if ".." not in text and len(text) < 300})

    def made(self, rng, depth, lists=0):
        """A text by the grammar, a number or lists of so many levels, with a fault here and there."""
        if rng.random() < 0.02:
            lists = rng.randrange(3)
        pick = rng.random()
        if depth == 0 or pick < 0.15:
            if rng.random() < 0.02:
                return rng.choice(["unknown", "", "abs", "e", "list list"])
            names = [self.SCALARS, self.LISTS[:3], self.LISTS[3:]][lists]
            return rng.choice(names + (["{" + names[0] + "}", *rng.choices(self.VALUES, k=4)] if not lists else []))
        inner = lambda lists=lists: self.made(rng, depth - 1, lists)
        if pick < 0.45:
            one, two = inner(), inner(rng.choice([0, lists]))
            one, two = rng.choice([(one, two), (two, one)])
            return f"{one} {rng.choice(self.BINARY)} {two}"
        if pick < 0.52:
            return rng.choice(["-", "!", "+", "--", "!!"]) + inner()
        if pick < 0.62:
            return f"({inner()})"
        if pick < 0.72 and lists < 2:
            return f"({inner(lists + 1)})[{inner(0)}]"
        if pick < 0.76 and lists:
            return f"({inner()})[{inner()} > {inner(0)}]"
        if pick < 0.88 and lists < 2:
            return f"{rng.choice(self.FOLDS)}({inner(lists + 1)})"
        if pick < 0.92:
            return f"{rng.choice(self.TWO)}({inner()}, {inner(rng.choice([0, lists]))})"
        return f"{rng.choice(self.ONE)}({inner()})"

    def damaged(self, rng, text):
        for _ in range(rng.choice([1, 1, 2, 4])):
            at = rng.randrange(len(text) + 1)
            end = min(len(text), at + rng.randrange(1, 6))
            new = rng.choice([
                "", rng.choice(string.printable), rng.choice(ODD_TEXT), rng.choice(self.VALUES),
                rng.choice(self.BINARY), text[at:end] * rng.choice([2, 3, 40]),
            ])  # fmt: skip
            text = text[:at] + new + text[rng.choice([at, end]) :]
        return text

    def text(self, rng):
        pick = rng.random()
        if pick < 0.6:
            text = self.made(rng, rng.randrange(1, 7))
        elif pick < 0.65:
            text = rng.choice(["({})", "-{}", "abs({})", "list[{}]", "{} + 1", "2^{}", "sum({})"])
            deep = "x"
            for _ in range(rng.choice([5, 60, 70, 300, 2000])):
                deep = text.replace("{}", deep)
            text = deep
        else:
            text = rng.choice(self.real)
            for old in re.findall(r"[a-z_]\w*", text):
                if rng.random() < 0.8 and old not in self.ONE + self.FOLDS + self.TWO:
                    text = text.replace(old, rng.choice(self.SCALARS), 1)
        return self.damaged(rng, text) if rng.random() < 0.3 else text

    def case(self, rng):
        text = self.text(rng)
        options = {"inputs": ["x", "n * 0.5"]}
        where = rng.randrange(6)
        if where == 0:
            options["selection"] = text
        elif where == 1:
            options["weight"] = text
        elif where == 2:
            options["define"] = [("made", text), ("other", "made * 2")]
            options["inputs"] = ["x", rng.choice(["made", "other", "sum(made)", "made + sum(list * made)"])]
        elif where == 3:
            options["variables"] = [text]
        else:
            options["inputs"] = ["x", text]
        config = plan_of("source.parquet", "target.parquet", **options)
        # more than a text of UTF-8 can be
        config = config.encode("utf-8", "replace")
        return {**self.fixed, "plan.toml": config}, ["plan", "plan.toml", "--no-calibration"]


class Configs:
    """Mutations of configurations."""

    def __init__(self, folder):
        self.fixed = {}
        samples = ROOT / "tests/data"
        for path in sorted([*samples.glob("collisions/*.parquet"), *samples.glob("jets/*.parquet")]):
            small = folder / path.name
            table = pq.read_table(path)
            pq.write_table(table.take(np.arange(0, len(table), len(table) // 1500)), small)
            self.fixed[str(path.relative_to(ROOT))] = small.read_bytes()
        rng = np.random.default_rng(4)
        names = ["pt", "eta", "mass", *(f"x{k}" for k in range(10))]
        for name, first in [("source", 0), ("target", 300)]:
            events = {column: rng.normal(size=300) for column in names}
            events |= {"weight": np.ones(300), "event": np.arange(first, first + 300)}
            events["event_id"] = events["event"]
            pq.write_table(pa.table(events), folder / f"{name}.parquet")
            self.fixed[f"configs/{name}.parquet"] = (folder / f"{name}.parquet").read_bytes()
        self.texts = {}
        for path in [*(ROOT / "configs").glob("*.toml"), ROOT / "tests/data/configurations/reweighting.toml"]:
            text = re.sub(r"^events = [0-9_]+", "events = 1000", path.read_text(), flags=re.MULTILINE)
            self.texts[f"configs/{path.name}"] = re.sub(r"\.\./large/(source|target)_\*", r"\1", text)
        lines = [line for text in self.texts.values() for line in text.splitlines()]
        self.lines = sorted({line for line in lines if line.strip() and not line.startswith("#")})
        pairs = [re.match(r"#?\s*([a-z_0-9.]+)\s*=\s*([^#]+)", line) for line in lines]
        self.keys = sorted({pair.group(1) for pair in pairs if pair})
        self.values = sorted({pair.group(2).strip() for pair in pairs if pair})

    def value(self, rng):
        pick = rng.random()
        if pick < 0.5:
            return rng.choice(ODD_VALUES)
        if pick < 0.7:
            return rng.choice(self.values)
        if pick < 0.8:
            return quoted(rng.choice(ODD_TEXT) + rng.choice(ODD_TEXT))
        if pick < 0.9:
            return str(rng.choice(NUMBERS) * rng.choice([1, -1]))
        depth = rng.choice([3, 20, 100, 3000])
        return rng.choice(["[" * depth + "]" * depth, "{ a = " * depth + "1" + " }" * depth])

    def line(self, rng, lines):
        at = rng.randrange(len(lines))
        line = lines[at]
        pick = rng.randrange(10)
        found = re.search(r"=\s*", line)
        if pick < 4 and found:
            lines[at] = line[: found.end()] + self.value(rng)
        elif pick == 4:
            # one part of a value: a number or a text
            parts = list(re.finditer(r"-?\d[\d_.e]*|\"[^\"]*\"", line))
            if parts:
                part = rng.choice(parts)
                lines[at] = line[: part.start()] + self.value(rng) + line[part.end() :]
        elif pick == 5:
            del lines[at]
        elif pick == 6:
            lines.insert(rng.randrange(len(lines)), rng.choice([line, rng.choice(self.lines)]))
        elif pick == 7:
            key = rng.choice(self.keys)
            lines.insert(at, f"{key} = {self.value(rng)}")
        elif pick == 8:
            cut = rng.randrange(len(line) + 1)
            lines[at] = line[:cut] + rng.choice(ODD_TEXT) + line[cut:]
        else:
            name = rng.choice(["[", "[["]) + rng.choice(["", "data.", "regions.", "report.", "a." * 100])
            name += rng.choice(["x", "sr", '"é"', '"a.b"', "variables", '"\\u0000"', ""])
            lines.insert(at, name + "]" * (2 if name.startswith("[[") else 1))
        return lines or [""]

    def case(self, rng):
        name = rng.choice(sorted(self.texts))
        lines = self.texts[name].splitlines()
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            lines = self.line(rng, lines)
        text = "\n".join(lines)
        if rng.random() < 0.03:
            text = mutate(rng, text.encode(), [b"\xff\xfe\0\0"]).decode("utf-8", "surrogateescape")
        files = {**self.fixed, name: text.encode("utf-8", "surrogateescape")}
        arguments = ["plan", name, "--no-calibration"]
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            tables = re.findall(r"^\[+([\w.]+)\]", self.texts[name], re.MULTILINE)
            key = rng.choice([f"{rng.choice(tables)}.{rng.choice(self.keys)}", rng.choice(self.keys)])
            setting = f"{key}={self.value(rng)}".replace("\0", "")
            arguments += ["--set", setting]
        return files, arguments


class Workspaces:
    """Mutations of workspaces of pyhf, and of patches for them."""

    ODD = [None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e-320, 1e308, -1e308, 1 << 63, -(1 << 63), 1 << 70, "", "mu", "x",
           "SR", "normsys", "lumi", "a[0]", "a[", "\u0000", "\x1b[2J", "1e999", [], {}, [1.0], [[0.0, 10.0]], ["x"], {"a": 1},
           [0.0, 0.0], [1e300, 1e300], {"lo": 0.9, "hi": 1.1}, {"lo_data": [1.0], "hi_data": [2.0]}]  # fmt: skip
    OPERATIONS = ["add", "remove", "replace", "test", "copy", "move", "grow"]
    COMMANDS = [
        ["inspect"], ["inspect", "--json"], ["fit"], ["fit", "--json", "--covariance"], ["fit", "--poi", "none"],
        ["fit", "--asimov", "1", "--significance"], ["fit", "--fix", "mu=0"], ["fit", "--codes", "1,2"], ["limit"],
        ["limit", "--asimov", "--json"], ["limit", "--test-stat", "q"], ["scan", "--points", "5", "--json"],
        ["scan", "--points", "3", "--second", "jes"], ["impacts", "--by", "prefix"], ["impacts", "--limit"],
    ]  # fmt: skip

    def __init__(self, folder):
        self.documents = [self.small()] * 4
        for name in ["dvmuon_met", "mimic"]:
            path = ROOT / f"tests/data/workspaces/{name}.json.gz"
            self.documents.append(json.loads(gzip.decompress(path.read_bytes())))

    @staticmethod
    def small():
        """A workspace with modifiers of all types."""
        named = lambda name, kind, data=None: {"name": name, "type": kind, "data": data}
        signal = {"name": "signal", "data": [5.0, 8.0], "modifiers": [named("mu", "normfactor"), named("lumi", "lumi")]}
        shape = {"lo_data": [48.0, 31.0], "hi_data": [52.0, 29.0]}
        modifiers = [
            named("jes", "normsys", {"lo": 0.9, "hi": 1.1}), named("jer", "histosys", shape),
            named("mc", "staterror", [2.0, 1.5]), named("free", "shapefactor"),
        ]  # fmt: skip
        top = {"name": "top", "data": [50.0, 30.0], "modifiers": modifiers[:3]}
        fakes = {"name": "fakes", "data": [4.0, 3.0], "modifiers": [named("rate", "shapesys", [1.0, 0.5])]}
        control = {"name": "top", "data": [200.0, 100.0], "modifiers": [modifiers[0], modifiers[3]]}
        lumi = {"name": "lumi", "inits": [1.0], "bounds": [[0.9, 1.1]], "auxdata": [1.0], "sigmas": [0.02]}
        config = {"poi": "mu", "parameters": [lumi, {"name": "mu", "inits": [1.0], "bounds": [[0.0, 10.0]]}]}
        return {
            "channels": [{"name": "SR", "samples": [signal, top, fakes]}, {"name": "CR", "samples": [control]}],
            "measurements": [{"name": "main", "config": config}],
            "observations": [{"name": "SR", "data": [61.0, 38.0]}, {"name": "CR", "data": [215, 96]}],
            "version": "1.0.0",
        }  # fmt: skip

    def places(self, value, at=()):
        """Ways to all values below one."""
        yield at
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
        for key, inner in pairs:
            yield from self.places(inner, (*at, key))

    def changed(self, rng, document):
        """The same with a value that is another, gone, or there twice."""
        document = copy.deepcopy(document)
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            ways = list(self.places(document))[1:]
            if not ways:
                return document
            holder_of = lambda way: functools.reduce(operator.getitem, way[:-1], document)
            is_number = lambda way: type(holder_of(way)[way[-1]]) in (int, float)
            values = [way for way in ways if is_number(way)]
            # most of what is another kind of value is refused at once
            way = rng.choice(values if values and rng.random() < 0.7 else ways)
            holder, key = holder_of(way), way[-1]
            pick = rng.random()
            if is_number(way) and pick < 0.8:
                odd = [0.0, -0.0, 1.0, -1.0, 0.5, 7, 1e-320, 1e-30, 1e30, 1e150, 1e308, 1 << 63, 5e-324]
                holder[key] = rng.choice([rng.choice(odd), holder[key] * rng.choice([-1, 1e-30, 1e30, 1e-3, 1e3, 0.1, 10])])
            elif pick < 0.55:
                holder[key] = copy.deepcopy(rng.choice(self.ODD))
            elif pick < 0.8:
                del holder[key]
            elif isinstance(holder, list):
                holder.insert(key, copy.deepcopy(rng.choice([holder[key], *holder])))
            else:
                holder[rng.choice(["x", "name", "fixed", "data", "\u202e"])] = holder.pop(key)
        return document

    def pointer(self, rng, document):
        way = rng.choice(list(self.places(document)))
        steps = [str(step).replace("~", "~0").replace("/", "~1") for step in way]
        if steps and rng.random() < 0.3:
            steps[rng.randrange(len(steps))] = rng.choice(["-", "99", "01", "", "~", "x", "-1", "9" * 30])
        return "".join("/" + step for step in steps)

    def patches(self, rng, document):
        """A list of operations, or a set of such."""
        def operation():
            made = {"op": rng.choice(self.OPERATIONS), "path": self.pointer(rng, document)}
            if rng.random() < 0.9:
                made["value"] = copy.deepcopy(rng.choice([*self.ODD, document["channels"][0]["samples"][0]]))
            if rng.random() < 0.6:
                made["from"] = self.pointer(rng, document)
            return made
        lists = [[operation() for _ in range(rng.choice([0, 1, 1, 3, 40]))] for _ in range(3)]
        if rng.random() < 0.4:
            return lists[0]
        # as pyhf.utils.digest makes it
        text = json.dumps(document, sort_keys=True, ensure_ascii=False).encode()
        patches = [{"metadata": {"name": f"p{k}", "values": [k]}, "patch": patch} for k, patch in enumerate(lists)]
        metadata = {"references": {"hepdata": "ins1"}, "description": "x", "labels": ["m"]}
        metadata["digests"] = {"sha256": hashlib.sha256(text).hexdigest()}
        return {"version": "1.0.0", "metadata": metadata, "patches": patches}

    def written(self, rng, document):
        # what Python writes of numbers that are none is no JSON
        data = json.dumps(document).encode()
        if rng.random() < 0.15:
            data = mutate(rng, data, [b"[" * 300, b"1e400", b"NaN", b'{"a":'])
        if rng.random() < 0.15:
            data = gzip.compress(data, 1, mtime=0)
            if rng.random() < 0.5:
                data = mutate(rng, data, [data])
        return data

    def case(self, rng):
        document = rng.choice(self.documents)
        is_patched = rng.random() < 0.3
        first = document if is_patched else self.changed(rng, document)
        files = {"ws.json": self.written(rng, first)}
        if rng.random() < 0.1:
            files["other.json"] = self.written(rng, self.changed(rng, rng.choice(self.documents)))
            join = rng.choice(["none", "outer", "left-outer", "right-outer"])
            return files, ["combine", "ws.json", "other.json", "--join", join, "--poi", "mu"]
        command, *options = rng.choice(self.COMMANDS)
        if is_patched:
            patches = self.patches(rng, document)
            if rng.random() < 0.3:
                patches = self.changed(rng, patches)
            files["patches.json"] = self.written(rng, patches)
            if command == "inspect":
                return files, ["inspect", "patches.json"]
            named = [rng.choice(["p0", "p1", "p9", "[1]", "all", "["])] if isinstance(patches, dict) else []
            options += ["--patch", "patches.json", *named]
        return files, [command, "ws.json", *options]


def cases(kind, folder):
    if kind == "workspace":
        return Workspaces(folder)
    if kind == "root":
        return root_cases(folder)
    if kind == "parquet":
        return Files(folder, "parquet", of_bytes(parquet_files(folder)))
    if kind == "arrow":
        return Files(folder, "arrow", of_bytes(arrow_files(folder)))
    return Configs(folder) if kind == "config" else Expressions(folder)


# ---- running them --------------------------------------------------------------------------------

class Runner:
    """Runs the program in a folder, case after case."""

    def __init__(self, folder, program, limits):
        self.folder, self.program = folder, program
        self.seconds, self.memory = limits
        self.written = {}
        self.out = open(folder.parent / f"{folder.name}.out", "w+b")
        self.late = False

    def write(self, files):
        for name in set(self.written) - set(files):
            (self.folder / name).unlink(missing_ok=True)
        for name, data in files.items():
            if self.written.get(name) is not data:
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        self.written = dict(files)

    def run(self, files, arguments):
        """Exit code or minus the signal, what was said, and what is wrong with that."""
        self.write(files)
        made = self.folder / "made.toml"
        made.unlink(missing_ok=True)
        self.out.seek(0)
        self.out.truncate()
        self.late = False
        child = subprocess.Popen(
            [self.program, *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
        )  # fmt: skip

        def too_long(*_):
            self.late = True
            child.kill()

        signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        _, status, usage = os.wait4(child.pid, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.out.seek(0)
        return child.returncode, self.out.read(), usage.ru_maxrss >> 10

    def verdict(self, kind, code, said, peak):
        """What is wrong, or nothing."""
        if self.late:
            return "too long"
        if code < 0:
            return f"signal {-code}"
        if any(word in said for word in OWN_FAULTS) or GAVE_UP in said and kind not in ("parquet", "arrow"):
            return "panic"
        if code not in CODES:
            return f"exit code {code}"
        if peak > self.memory:
            return "memory"
        if code and b"error: " not in said:
            return "no message"
        if re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", said):
            return "control characters"
        try:
            said.decode()
        except UnicodeDecodeError:
            return "not UTF-8"
        return None


def keep(options, runner, kind, number, wrong, arguments, said):
    """Copies a finding, with its command."""
    folder = options.findings / f"{wrong.replace(' ', '_')}-{kind}-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(runner.folder, folder)
    command = shlex.join([str(options.program), *arguments])
    (folder / "command.txt").write_text(f"# {kind}, seed {options.seed}, case {number}: {wrong}\n{command}\n")
    (folder / "output.txt").write_bytes(said[-100_000:])
    print(f"{wrong}: {kind} {number}, {command}", file=sys.stderr, flush=True)


def work(options, job, sources, queue, end):
    """Every `options.jobs`-th case until the time is over."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (options.space << 20, options.space << 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28, 1 << 28))
    folder = options.work / f"job{job}"
    folder.mkdir()
    limits = options.seconds, options.memory
    runners = {}
    for kind in sources:
        (folder / kind).mkdir()
        runners[kind] = Runner(folder / kind, options.program, limits)
    counts, kept = collections.Counter(), collections.Counter()
    number = options.first + job
    last = sys.maxsize if options.cases is None else options.first + options.cases
    try:
        while time.monotonic() < end and number < last:
            for kind, source in sources.items():
                rng = random.Random(f"{options.seed}/{kind}/{number}")
                files, arguments = source.case(rng)
                code, said, peak = runners[kind].run(files, arguments)
                wrong = runners[kind].verdict(kind, code, said, peak)
                counts[kind, "cases"] += 1
                counts[kind, f"exit {code}" if code in CODES else "other"] += 1
                counts[kind, "caught"] += GAVE_UP in said
                counts[kind, "peak"] = max(counts[kind, "peak"], peak)
                if wrong:
                    counts[kind, "findings"] += 1
                    place = re.search(rb"\((\S+\.rs:\d+)", said)
                    what = wrong, kind, place and place.group(1)
                    kept[what] += 1
                    if kept[what] <= KEPT:
                        keep(options, runners[kind], kind, number, wrong, arguments, said)
            number += options.jobs
    except KeyboardInterrupt:
        pass
    finally:
        queue.put((counts, kept))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/sideband")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--cases", type=int, help="of each kind, at most")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default=",".join(KINDS), help="kinds, with commas")
    parser.add_argument("--findings", type=pathlib.Path, default=ROOT / "target/fuzz")
    parser.add_argument("--seconds", type=float, default=20.0, help="of one case")
    parser.add_argument("--memory", type=int, default=1024, help="MiB that a case may have in use")
    parser.add_argument("--space", type=int, default=6144, help="MiB of addresses that it gets")
    options = parser.parse_args()
    options.program = options.program.resolve()
    kinds = options.only.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"no kind {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    if not options.program.is_file():
        parser.error(f"{options.program} is not there: cargo build --release")
    started = time.monotonic()
    shutil.rmtree(options.findings, ignore_errors=True)
    options.findings.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        options.work = pathlib.Path(name)
        sources = {}
        for kind in kinds:
            (options.work / kind).mkdir()
            sources[kind] = cases(kind, options.work / kind)
        end = time.monotonic() + 60 * options.minutes
        fork = multiprocessing.get_context("fork")
        queue = fork.SimpleQueue()
        jobs = [fork.Process(target=work, args=(options, j, sources, queue, end)) for j in range(options.jobs)]
        for job in jobs:
            job.start()
        # an interrupted worker gives what it has
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        counts, kept = collections.Counter(), collections.Counter()
        peaks = collections.Counter()
        for _ in jobs:
            of_job, kept_by_job = queue.get()
            for kind in kinds:
                peaks[kind] = max(peaks[kind], of_job.pop((kind, "peak"), 0))
            counts.update(of_job)
            kept.update(kept_by_job)
        for job in jobs:
            job.join()
    columns = ["cases", *(f"exit {code}" for code in sorted(CODES)), "other", "caught", "findings"]
    columns = [c for c in columns if c in ("cases", "findings") or any(counts[kind, c] for kind in kinds)]
    print(" ".join([f"{'kind':<10}", *(f"{c:>8}" for c in columns), f"{'MiB':>6}"]))
    for kind in kinds:
        cells = [f"{counts[kind, c]:>8}" for c in columns]
        print(" ".join([f"{kind:<10}", *cells, f"{peaks[kind]:>6}"]))
    seconds = time.monotonic() - started
    total = sum(counts[kind, "cases"] for kind in kinds)
    print(f"seed {options.seed}: {total} cases in {seconds:.0f} s, {total / seconds:.0f} a second")
    for (wrong, kind, place), number in sorted(kept.items(), key=str):
        print(f"{wrong}, {kind}{', ' + place.decode() if place else ''}: {number}, in {options.findings}")
    return 1 if kept or any(job.exitcode for job in jobs) else 0


if __name__ == "__main__":
    sys.exit(main())

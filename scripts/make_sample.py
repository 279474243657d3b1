#!/usr/bin/env python3
"""Cut the small 2b / 3b / 4b sample of tests/data/collisions out of the full simulated files.

usage: make_sample.py INPUT_FOLDER OUTPUT_FOLDER

INPUT_FOLDER holds qcd_2b.parquet, qcd_3b.parquet and qcd_4b.parquet as written by
`generate_collisions.py merge`; files of the same names are written to
OUTPUT_FOLDER. Needs numpy and pyarrow.

All 4b events are kept, a seeded random subset of the 2b events, and the 3b events
in a square of the mass plane. Rows stay in the order of the input, which is random
already. The same input and library versions give the same bytes.

x_hh is left out, because it follows from the two masses; that it does so in the
input is checked before anything is written.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Centres of the two candidate masses in signal, GeV.
CENTRE_H1_GEV, CENTRE_H2_GEV = 124.0, 117.0
# The control region is a circle about the centres scaled up by this factor,
# which is where the background's masses balance better.
CONTROL_SHIFT = 1.05
CONTROL_RADIUS_GEV = 45.0
# Signal region: x_hh below this, with a mass resolution of 10 %.
SIGNAL_X_HH = 1.6
MASS_RESOLUTION = 0.1

SEED = 20240
EVENTS_TO_KEEP = {"qcd_2b": 40_000, "qcd_3b": None, "qcd_4b": None}  # None: all
# Half the side of the square about the control region's centre outside which rows
# are left out. The 3b events are a target in the control region's square only, of
# half side CONTROL_RADIUS_GEV; the 3 GeV beyond it are room to vary that a little.
HALF_SIDE_TO_KEEP_GEV = {"qcd_3b": CONTROL_RADIUS_GEV + 3.0}

REWEIGHTING_INPUTS = [
    "log_pt2", "log_pt4", "log_dr1", "log_dr2", "avg_abs_eta", "log_pt_hh",
    "dr_hh", "dphi_h1", "dphi_h2", "x_wt", "n_jets", "trig_bucket",
]  # fmt: skip
KINEMATICS = [
    "m_h1", "m_h2", "m_hh", "deta_hh", "pt_h1", "pt_h2", "eta_h1", "eta_h2", "dphi_hh",
]  # fmt: skip
BOOKKEEPING = ["n_btag", "year", "event_id", "weight"]
COLUMNS = REWEIGHTING_INPUTS + KINEMATICS + BOOKKEEPING

ROW_GROUP_ROWS = 16_384
ZSTD_LEVEL = 19


def x_hh(m_h1, m_h2):
    """Distance from the signal centre in the mass plane, in mass resolutions."""
    return np.hypot(
        (m_h1 - CENTRE_H1_GEV) / (MASS_RESOLUTION * m_h1),
        (m_h2 - CENTRE_H2_GEV) / (MASS_RESOLUTION * m_h2),
    )


def masses(table):
    """Both candidate masses in f64, so that every cut is taken in f64."""
    return (table[c].to_numpy().astype(np.float64) for c in ("m_h1", "m_h2"))


def check_x_hh(name, table):
    """Stop if the stored x_hh is not the formula, up to f32 rounding."""
    difference = np.abs(table["x_hh"].to_numpy() - x_hh(*masses(table))).max()
    if not difference < 1e-4:
        sys.exit(
            f"{name}: x_hh differs from its formula by up to {difference:.3g}; expected < 1e-4"
        )


def in_square(table, half_side_gev):
    """True for the rows within a square about the control region's centre."""
    m_h1, m_h2 = masses(table)
    return (np.abs(m_h1 - CONTROL_SHIFT * CENTRE_H1_GEV) < half_side_gev) & (
        np.abs(m_h2 - CONTROL_SHIFT * CENTRE_H2_GEV) < half_side_gev
    )


def count_regions(table):
    """Events in the signal region and in the two halves of the control region."""
    m_h1, m_h2 = masses(table)
    signal = x_hh(m_h1, m_h2) < SIGNAL_X_HH
    distance = np.hypot(m_h1 - CONTROL_SHIFT * CENTRE_H1_GEV, m_h2 - CONTROL_SHIFT * CENTRE_H2_GEV)
    control = (distance < CONTROL_RADIUS_GEV) & ~signal
    above_or_below = np.abs(m_h2 - CENTRE_H2_GEV) > np.abs(m_h1 - CENTRE_H1_GEV)
    return {
        "SR": int(signal.sum()),
        "CR1": int((control & above_or_below).sum()),
        "CR2": int((control & ~above_or_below).sum()),
    }


def write(table, path):
    """Small file first, read speed second: byte planes of the floats, zstd at a high level."""
    floats = [f.name for f in table.schema if pa.types.is_floating(f.type)]
    # event_id never repeats: a dictionary would only add to it.
    dictionary = [c for c in table.column_names if c not in floats and c != "event_id"]
    pq.write_table(
        table.replace_schema_metadata(None),
        path,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=dictionary,
        use_byte_stream_split=floats,
    )


def make_sample(name, input_folder, output_folder):
    table = pq.read_table(input_folder / f"{name}.parquet")
    check_x_hh(name, table)
    rows, wanted = np.arange(len(table)), EVENTS_TO_KEEP[name]
    if name in HALF_SIDE_TO_KEEP_GEV:
        rows = rows[in_square(table, HALF_SIDE_TO_KEEP_GEV[name])]
    if wanted is not None and wanted < len(rows):
        rows = np.sort(np.random.default_rng(SEED).choice(rows, wanted, replace=False))
    sample = table.select(COLUMNS).take(pa.array(rows)).combine_chunks()
    path = output_folder / f"{name}.parquet"
    write(sample, path)
    regions = ", ".join(f"{k} {v}" for k, v in count_regions(sample).items())
    print(f"{name}: {len(sample)} of {len(table)} rows, {path.stat().st_size} bytes; {regions}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input_folder", type=Path, help="folder of the full files")
    parser.add_argument("output_folder", type=Path, help="folder to write the sample to")
    arguments = parser.parse_args()
    arguments.output_folder.mkdir(parents=True, exist_ok=True)
    for name in EVENTS_TO_KEEP:
        make_sample(name, arguments.input_folder, arguments.output_folder)


if __name__ == "__main__":
    main()

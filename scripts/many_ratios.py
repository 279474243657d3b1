#!/usr/bin/env python3
"""Writes a measurement of many processes and variations at toy size.

usage: many_ratios.py [--processes P] [--variations K] [--members E] [--events N] > many.toml
       sideband run many.toml

Shows what a study of P (1 + 2 K) ratios costs beside the arithmetic of its networks: checks,
ensembles, pages, fit. The samples are those of the model with known truth, reweighted.
"""

import argparse

HEAD = """\
[experiment]
name = "many_ratios"
description = "{count} ratios at toy size"
method = "measure"
seed = 1

[generate]
model = "interference"
events = {events}

[regions.all]
selection = "1"

[parameters.mu]
nominal = 1.0
bounds = [0.0, 4.0]

[features]
inputs = ["x1", "x2", "x3"]

[model]
hidden = [16, 16]

[training]
region = "all"
batch = 256
epochs = 5
patience = 5

[ensemble]
members = {members}

[measurement]
interest = ["mu"]
reference = ["P1"]
scan_points = 21

[report]
classifier_members = 0
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--variations", type=int, default=20)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--events", type=int, default=2000)
    options = parser.parse_args()
    count = options.processes * (1 + 2 * options.variations) - 1
    lines = [HEAD.format(count=count, **vars(options))]
    files = ["S", "SBI", "B"]
    for j in range(options.processes):
        lines += [
            f"[samples.P{j}]",
            f'path = "run:samples/{files[j % 3]}.parquet"',
            f'weight = "weight * (1 + {0.02 * j:.2f} * tanh(x{1 + j % 3}))"',
            'id = ["event_id"]',
            'coefficient = "mu"' if j == 0 else 'coefficient = "1"',
            "",
        ]
    for k in range(options.variations):
        lines += [f"[systematics.a{k}]", 'density_interpolation = "code4p"', ""]
        for j in range(options.processes):
            base = f"weight * (1 + {0.02 * j:.2f} * tanh(x{1 + j % 3}))"
            size = 0.02 + 0.002 * k
            for side, sign in [("up", "+"), ("down", "-")]:
                lines += [
                    f"[systematics.a{k}.samples.P{j}.{side}]",
                    f'weight = "{base} * (1 {sign} {size:.3f} * sin({k + 1} * x{1 + k % 3}))"',
                ]
        lines.append("")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

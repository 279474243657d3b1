#!/usr/bin/env python3
"""Compares an exported workspace, read by pyhf, with the numbers written beside it.

    scripts/check_workspace.py WORKSPACE.json POINTS.json [PATCHSET.json]

POINTS.json holds the interpolation codes (`modifier_settings`) and, for some points,
the parameters by name, the negative logarithm of the probability density with all
constants, and the expected counts of each channel. Prints the largest relative
differences. PATCHSET.json is a patch set of the workspace: its digests are held against it,
and a model is made with every patch. Exit code 0 if they are below 1e-9, 1 if they are not, 77 if a package
(`pip install pyhf`) is missing. Tried with pyhf 0.7.6.
"""

import json
import sys

try:
    import numpy as np
    import pyhf
except ImportError:
    print("no module pyhf: pip install pyhf", file=sys.stderr)
    sys.exit(77)

TOLERANCE = 1e-9


def parameter_names(config):
    """Names of all parameters in pyhf's order; those of a bin as name[0], name[1], ..."""
    names = []
    for name in config.par_order:
        parameters = config.param_set(name)
        if parameters.is_scalar:
            names.append(name)
        else:
            names.extend(f"{name}[{i}]" for i in range(parameters.n_parameters))
    return names


def relative(found, expected):
    return float(np.max(np.abs(np.asarray(found) - expected) / np.maximum(np.abs(expected), 1.0)))


def check_patches(patch_set, workspace, settings):
    """Makes a model of the workspace with every patch of a set; pyhf raises where it cannot."""
    patches = pyhf.PatchSet(patch_set)
    patches.verify(workspace)
    for patch in patches:
        pyhf.Workspace(patches.apply(workspace, patch.name)).model(modifier_settings=settings)
    print(f"{len(patches)} patches over {', '.join(patches.labels)}")


def main():
    if len(sys.argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        workspace = pyhf.Workspace(json.load(file))
    with open(sys.argv[2], encoding="utf-8") as file:
        reference = json.load(file)
    model = workspace.model(modifier_settings=reference["modifier_settings"])
    data = workspace.data(model)
    names = parameter_names(model.config)
    worst = {"negative_log_pdf": 0.0, "expected": 0.0}
    for point in reference["points"]:
        unknown = set(point["parameters"]) - set(names)
        assert not unknown, f"parameters that pyhf does not have: {sorted(unknown)}"
        at = [point["parameters"][name] for name in names]
        found = -float(model.logpdf(at, data)[0])
        difference = relative(found, point["negative_log_pdf"])
        worst["negative_log_pdf"] = max(worst["negative_log_pdf"], difference)
        expected = model.expected_data(at, include_auxdata=False)
        ours = np.concatenate([point["expected"][name] for name in model.config.channels])
        worst["expected"] = max(worst["expected"], relative(expected, ours))
    print(f"pyhf {pyhf.__version__}: {len(reference['points'])} points, {len(names)} parameters")
    if len(sys.argv) == 4:
        with open(sys.argv[3], encoding="utf-8") as file:
            check_patches(json.load(file), dict(workspace), reference["modifier_settings"])
    for what, difference in worst.items():
        print(f"{what}: largest relative difference {difference:.1e}")
    return 0 if max(worst.values()) < TOLERANCE and reference["points"] else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""A fit, limits, a ranking or toys of one HistFactory workspace by another program.

usage: workspaces.py PROGRAM TASK WORKSPACE [--patch PATCHSET NAME] [--threads T] [--toys N]
                     [--seed S] [--rtol R]

Prints a line of JSON after each stage: its wall and CPU seconds (all threads of this process) and
what it found. `import` begins with the interpreter, `read` unpacks and patches, `build` makes the
model; a second fit in the same process is `fit again`. A stage that fails is said with its error,
and ends the process with exit code 1. `scripts/compare_workspaces.py` runs this and sideband in
turn.

Every program is used as its pages say: pyhf by `mle.fit`, `hypotest`, `upper_limit` and
`ToyCalculator`, cabinetry by `fit.fit` and `fit.ranking`, NextStat by `fit`, `hypotest`,
`upper_limit`, `ranking` and `hypotest_toys`. Interpolation is by codes 4 and 4p, as all of them
do unless told otherwise.
Written for pyhf 0.7.6, cabinetry 0.6.0 and NextStat 0.10.1.
"""

import argparse
import gzip
import json
import math
import os
import sys
import time
from pathlib import Path

from common import setup

LEVEL = 0.05


def read(path):
    """Text of a file, unpacked if gzip packed it."""
    data = Path(path).read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()


def finite(value):
    """A float, or None where a program gives none or no finite one."""
    value = None if value is None else float(value)
    return value if value is not None and math.isfinite(value) else None


class Pyhf:
    """pyhf by one of its backends and optimizers."""

    def __init__(self, arguments, backend, optimizer):
        import pyhf

        pyhf.set_backend(backend, optimizer)
        self.pyhf, self.arguments, self.optimizer = pyhf, arguments, optimizer

    def read(self):
        self.document = json.loads(read(self.arguments.workspace))
        if self.arguments.patch:
            patches, name = self.arguments.patch
            self.document = self.pyhf.PatchSet(json.loads(read(patches))).apply(
                self.document, name
            )

    def build(self):
        workspace = self.pyhf.Workspace(self.document)
        self.model = workspace.model()
        self.data = workspace.data(self.model)
        return {"parameters": self.model.config.npars}

    def fit(self):
        # scipy gives no errors
        has_errors = self.optimizer == "minuit"
        found, twice_nll = self.pyhf.infer.mle.fit(
            self.data, self.model, return_uncertainties=has_errors, return_fitted_val=True
        )
        poi = self.model.config.poi_index
        value, error = found[poi] if has_errors else (found[poi], None)
        return {
            "mu": finite(value),
            "mu_error": finite(error),
            "max_logpdf": finite(-twice_nll / 2.0),
        }

    def hypotest(self, mu, *arguments, **options):
        """Observed and expected CLs as numbers that pyhf's own scan can be asked with."""
        import numpy as np

        options["return_expected_set"] = True
        observed, expected = self.pyhf.infer.hypotest(mu, *arguments, **options)
        return np.float64(observed), [np.float64(x) for x in expected]

    def cls(self):
        observed, expected = self.hypotest(1.0, self.data, self.model, test_stat="qtilde")
        return {"observed": finite(observed), "expected": [finite(x) for x in expected]}

    def limit(self):
        from pyhf.infer.intervals import upper_limits

        # Its scan keeps results by value, which the arrays of recent versions of jax cannot be.
        upper_limits.hypotest = self.hypotest
        observed, expected = upper_limits.upper_limit(
            self.data, self.model, level=LEVEL, rtol=self.arguments.rtol, test_stat="qtilde"
        )
        return {"observed": finite(observed), "expected": [finite(x) for x in expected]}

    def toys(self):
        import numpy as np

        np.random.seed(self.arguments.seed)
        calculator = self.pyhf.infer.calculators.ToyCalculator(
            self.data,
            self.model,
            test_stat="qtilde",
            ntoys=self.arguments.toys,
            track_progress=False,
        )
        statistic = calculator.teststatistic(1.0)
        # Without the expected band: its percentiles are refused by numpy from 2.4 on.
        tails = calculator.pvalues(statistic, *calculator.distributions(1.0))
        with_signal, without, cls = (finite(x) for x in tails)
        return {"with_signal": with_signal, "without": without, "cls": cls}


class Cabinetry(Pyhf):
    """Rankings, which pyhf does not have."""

    def __init__(self, arguments, backend):
        super().__init__(arguments, backend, "scipy")
        import cabinetry

        self.cabinetry = cabinetry

    def build(self):
        self.model, self.data = self.cabinetry.model_utils.model_and_data(self.document)
        return {"parameters": self.model.config.npars}

    def fit(self):
        self.best = self.cabinetry.fit.fit(self.model, self.data)
        poi = self.model.config.poi_index
        return {
            "mu": finite(self.best.bestfit[poi]),
            "mu_error": finite(self.best.uncertainty[poi]),
            "max_logpdf": finite(-self.best.best_twice_nll / 2.0),
        }

    def ranking(self):
        found = self.cabinetry.fit.ranking(self.model, self.data, fit_results=self.best)
        pairs = zip(found.labels, found.postfit_up, found.postfit_down, strict=True)
        return {"impacts": {name: [finite(up), finite(down)] for name, up, down in pairs}}


class NextStat:
    """NextStat, which builds and fits in Rust."""

    def __init__(self, arguments):
        import nextstat

        self.nextstat, self.arguments = nextstat, arguments

    def read(self):
        self.document = read(self.arguments.workspace)
        if self.arguments.patch:
            patches, name = self.arguments.patch
            self.document = self.nextstat.apply_patchset(
                self.document, read(patches), patch_name=name
            )

    def build(self):
        self.model = self.nextstat.from_pyhf(self.document)
        return {"parameters": self.model.n_params()}

    def fit(self):
        found, poi = self.nextstat.fit(self.model), self.model.poi_index()
        return {
            "mu": finite(found.bestfit[poi]),
            "mu_error": finite(found.uncertainties[poi]),
            "max_logpdf": finite(-found.nll),
            "converged": found.converged,
        }

    def cls(self):
        return {"observed": finite(self.nextstat.hypotest(1.0, self.model))}

    def limit(self):
        observed, expected = self.nextstat.upper_limit(
            self.model, method="root", alpha=LEVEL, rtol=self.arguments.rtol
        )
        return {"observed": finite(observed), "expected": [finite(x) for x in expected]}

    def ranking(self):
        entries = self.nextstat.ranking(self.model)
        pairs = {e["name"]: [e["delta_mu_up"], e["delta_mu_down"]] for e in entries}
        return {"impacts": {name: [finite(x) for x in pair] for name, pair in pairs.items()}}

    def toys(self):
        cls, (with_signal, without) = self.nextstat.hypotest_toys(
            1.0,
            self.model,
            n_toys=self.arguments.toys,
            seed=self.arguments.seed,
            return_tail_probs=True,
        )
        return {"with_signal": finite(with_signal), "without": finite(without), "cls": finite(cls)}


PROGRAMS = {
    "pyhf-numpy-minuit": lambda arguments: Pyhf(arguments, "numpy", "minuit"),
    "pyhf-jax-scipy": lambda arguments: Pyhf(arguments, "jax", "scipy"),
    "cabinetry-numpy": lambda arguments: Cabinetry(arguments, "numpy"),
    "cabinetry-jax": lambda arguments: Cabinetry(arguments, "jax"),
    "nextstat": NextStat,
}
# Stages of a task: the name of a stage, and the method.
TASKS = {
    "fit": {"fit": "fit", "fit again": "fit"},
    "limit": {"cls": "cls", "limit": "limit"},
    "ranking": {"ranking": "ranking"},
    "toys": {"toys": "toys"},
}


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("workspace", help="plain or packed by gzip")
    parser.add_argument("--patch", nargs=2, metavar=("PATCHSET", "NAME"))
    parser.add_argument("--threads", type=int, default=1, help="of every library, 1")
    parser.add_argument("--pin", type=int, default=0, help="1: to the first processors")
    parser.add_argument("--toys", type=int, default=1000, help="of each hypothesis, 1000")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rtol", type=float, default=1e-5, help="of limits, 1e-5")
    return parser.parse_args()


def stage(name, call, begin):
    """Runs a stage that began at these wall and CPU seconds, and prints what it found."""
    record = {"stage": name}
    try:
        record |= call() or {}
    except Exception as error:  # whatever a program raises is what is said of it
        lines = str(error).strip().splitlines()
        record["error"] = f"{type(error).__name__}: {lines[0] if lines else ''}"
    record["wall"] = time.perf_counter() - begin[0]
    record["cpu"] = time.process_time() - begin[1]
    print(json.dumps(record), flush=True)
    if "error" in record:
        sys.exit(1)


def main():
    wall = time.perf_counter()
    arguments = parse()
    setup(arguments)
    # every process compiles for itself, as the first one of a user does
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    opened = {}

    def imported():
        opened["program"] = PROGRAMS[arguments.program](arguments)

    # the interpreter's own start belongs to it
    stage("import", imported, (wall, 0.0))
    program = opened["program"]
    stages = {"read": "read", "build": "build"}
    if arguments.task == "ranking" and isinstance(program, Cabinetry):
        stages["fit"] = "fit"
    for name, method in (stages | TASKS[arguments.task]).items():
        call = getattr(program, method)
        stage(name, call, (time.perf_counter(), time.process_time()))


if __name__ == "__main__":
    main()

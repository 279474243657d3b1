#!/usr/bin/env python3
"""Write the simulated gg -> HH -> 4b signal of tests/data/signal.

usage: make_signal.py OUTPUT_FOLDER [--events N] [--seed S]

Leading order in the limit of a heavy top quark (Plehn, Spira, Zerwas, Nucl. Phys. B479 (1996)
46, hep-ph/9603205, equation 13 with F_triangle = 2/3, F_box = -2/3, G_box = 0), where the
matrix element depends on the mass of the pair and on kappa_lambda alone:

    d sigma / d t ~ alpha_s^2 | kappa_lambda 3 m_H^2 / (s - m_H^2) - 1 |^2

so that pairs are isotropic in their rest frame. The heavy-top limit holds below twice the top's
mass and gives far too many pairs of high mass: there are none above 600 GeV here, and up to
there it is wrong by tens of percent. The gluon density is x g(x) ~ x^-0.3 (1 - x)^5 at all
scales, and there is no radiation: an example, and no simulation for an analysis. The total for
kappa_lambda = 1 is set to the 31.05 fb of the literature (13 TeV, LHC Higgs working group),
times the branching fraction to 4b.

Each event has a weight for each of kappa_lambda = 0, 1 and 10, in fb; any other follows from
these three. Jets are the four b quarks, smeared and tagged as in generate_collisions.py; the
columns are those of tests/data/collisions that follow from the candidates. Needs numpy and
pyarrow; the same versions give the same bytes.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

M_H = 125.0
ENERGY = 13_000.0
CROSS_SECTION_FB = 31.05
BRANCHING_4B = 0.5824**2
KAPPAS = (0, 1, 10)
# Jets as in generate_collisions.py.
RESOLUTION, PT_MIN, ETA_MAX, B_TAG = 0.10, 40.0, 2.5, 0.85
M_HH_RANGE = (2.0 * M_H + 0.5, 600.0)
# Pairs and seed of the shipped file.
EVENTS, SEED = 30_000, 125


def amplitude(m_hh, kappa):
    """The matrix element less common constants."""
    return kappa * 3.0 * M_H**2 / (m_hh**2 - M_H**2) - 1.0


def luminosity(m_hh):
    """tau dL/dtau of two gluons, less a constant."""
    tau = (m_hh / ENERGY) ** 2
    y = np.linspace(0.0, 1.0, 201)
    y_max = -0.5 * np.log(tau)
    x1 = np.sqrt(tau)[:, None] * np.exp(y[None, :] * y_max[:, None])
    x2 = tau[:, None] / x1

    def gluon(x):
        return x**-0.3 * np.clip(1.0 - x, 0.0, None) ** 5

    values = gluon(x1) * gluon(x2)
    return 2.0 * y_max * np.trapezoid(values, y, axis=1)


def spectrum(m_hh, kappa):
    """d sigma / d m_hh, less a constant: s times the phase space, over m_hh."""
    beta = np.sqrt(1.0 - 4.0 * M_H**2 / m_hh**2)
    return luminosity(m_hh) * m_hh**2 * beta * amplitude(m_hh, kappa) ** 2 / m_hh


def boosted(p, beta):
    """Four-vectors (E, x, y, z) [n, 4] in a frame that moves by -beta [n, 3]."""
    b2 = np.sum(beta**2, axis=1)
    gamma = 1.0 / np.sqrt(1.0 - b2)
    along = np.sum(beta * p[:, 1:], axis=1)
    factor = np.where(b2 > 0.0, (gamma - 1.0) / np.where(b2 > 0.0, b2, 1.0), 0.0)
    space = p[:, 1:] + beta * (factor * along + gamma * p[:, 0])[:, None]
    return np.column_stack([gamma * (p[:, 0] + along), space])


def directions(rng, n):
    z = rng.uniform(-1.0, 1.0, n)
    phi = rng.uniform(0.0, 2.0 * np.pi, n)
    r = np.sqrt(1.0 - z**2)
    return np.column_stack([r * np.cos(phi), r * np.sin(phi), z])


def pairs(rng, m_hh):
    """Momenta of the four b quarks, [n, 4, 4]."""
    n = len(m_hh)
    tau = (m_hh / ENERGY) ** 2
    # rapidity by the product of the gluon densities, from a grid
    grid = np.linspace(-1.0, 1.0, 401)
    y_max = -0.5 * np.log(tau)
    x1 = np.sqrt(tau)[:, None] * np.exp(grid[None, :] * y_max[:, None])
    x2 = tau[:, None] / x1
    density = (x1 * x2) ** -0.3 * np.clip((1 - x1) * (1 - x2), 0.0, None) ** 5
    total = np.cumsum(density, axis=1)
    drawn = rng.uniform(0.0, 1.0, n) * total[:, -1]
    y = grid[np.argmax(total >= drawn[:, None], axis=1)] * y_max
    p = np.sqrt(m_hh**2 / 4.0 - M_H**2)
    d = directions(rng, n)
    along = np.zeros((n, 3))
    along[:, 2] = np.tanh(y)
    quarks = []
    for sign in (1.0, -1.0):
        higgs = np.column_stack([m_hh / 2.0, sign * p[:, None] * d])
        beta = higgs[:, 1:] / higgs[:, :1]
        b = directions(rng, n)
        for side in (1.0, -1.0):
            quark = np.column_stack([np.full(n, M_H / 2.0), side * M_H / 2.0 * b])
            quarks.append(boosted(boosted(quark, beta), along))
    return np.stack(quarks, axis=1)


def candidates(jets):
    """Columns from four jets (E, x, y, z), [n, 4, 4]."""
    pt = np.hypot(jets[..., 1], jets[..., 2])
    eta = np.arcsinh(jets[..., 3] / pt)
    phi = np.arctan2(jets[..., 2], jets[..., 1])

    def delta_r(i, j):
        dphi = np.abs(phi[:, i] - phi[:, j])
        return np.hypot(eta[:, i] - eta[:, j], np.minimum(dphi, 2.0 * np.pi - dphi))

    def pair_pt(i, j):
        total = jets[:, i] + jets[:, j]
        return np.hypot(total[:, 1], total[:, 2])

    ways = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    # the pairing whose pair of higher pT has the smallest dR
    leading = [np.where(pair_pt(*a) >= pair_pt(*b), delta_r(*a), delta_r(*b)) for a, b in ways]
    best = np.argmin(np.stack(leading), axis=0)
    first = np.zeros((len(jets), 4))
    second = np.zeros((len(jets), 4))
    scalar = np.zeros((len(jets), 2))
    for k, (a, b) in enumerate(ways):
        own = best == k
        first[own] = (jets[:, a[0]] + jets[:, a[1]])[own]
        second[own] = (jets[:, b[0]] + jets[:, b[1]])[own]
        scalar[own, 0] = (pt[:, a[0]] + pt[:, a[1]])[own]
        scalar[own, 1] = (pt[:, b[0]] + pt[:, b[1]])[own]
    # H1 is the candidate with the larger scalar sum
    swap = scalar[:, 1] > scalar[:, 0]
    h1 = np.where(swap[:, None], second, first)
    h2 = np.where(swap[:, None], first, second)

    def mass(p):
        return np.sqrt(np.clip(p[:, 0] ** 2 - np.sum(p[:, 1:] ** 2, axis=1), 0.0, None))

    def rapidity(p):
        return np.arcsinh(p[:, 3] / np.hypot(p[:, 1], p[:, 2]))

    return {
        "m_h1": mass(h1),
        "m_h2": mass(h2),
        "m_hh": mass(h1 + h2),
        "deta_hh": np.abs(rapidity(h1) - rapidity(h2)),
    }


def simulate(n, seed):
    """Jets of pairs [n, 4, 4], columns of their candidates, the numbers of those that are kept,
    weights and totals by kappa_lambda."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(*M_HH_RANGE, 4000)
    spectra = {k: spectrum(grid, k) for k in KAPPAS}
    sums = {k: np.trapezoid(spectra[k], grid) for k in KAPPAS}
    # drawn from the mean of the shapes, so that no weight is large
    density = sum(spectra[k] / sums[k] for k in KAPPAS) / len(KAPPAS)
    total = np.cumsum(density)
    m_hh = np.interp(rng.uniform(0.0, total[-1], n), total, grid)
    drawn = np.interp(m_hh, grid, density)
    unit = CROSS_SECTION_FB * BRANCHING_4B / sums[1] / n
    weights = {k: unit * np.interp(m_hh, grid, spectra[k]) / drawn for k in KAPPAS}

    jets = pairs(rng, m_hh)
    jets *= np.clip(rng.normal(1.0, RESOLUTION, (n, 4)), 0.05, None)[..., None]
    pt = np.hypot(jets[..., 1], jets[..., 2])
    eta = np.arcsinh(jets[..., 3] / pt)
    is_seen = np.all((pt > PT_MIN) & (np.abs(eta) < ETA_MAX), axis=1)
    columns = candidates(jets)
    inside = is_seen.copy()
    for name in ("m_h1", "m_h2"):
        inside &= (columns[name] > 50.0) & (columns[name] < 200.0)
    return jets, columns, np.flatnonzero(inside), weights, sums


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=EVENTS, help="pairs, before jets are cut")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    n = arguments.events
    _, columns, kept, weights, sums = simulate(n, arguments.seed)
    for k in KAPPAS:
        print(f"kappa_lambda = {k}: {sums[k] / sums[1]:.3f} times the total of 1")
    table = {name: pa.array(values[kept].astype(np.float32)) for name, values in columns.items()}
    for k in KAPPAS:
        # four tags
        tagged = (weights[k][kept] * B_TAG**4).astype(np.float32)
        table[f"w_kl{k}"] = pa.array(tagged)
    table["n_btag"] = pa.array(np.full(len(kept), 4, dtype=np.uint8))
    table["event_id"] = pa.array(kept.astype(np.uint64) + (np.uint64(9) << np.uint64(40)))
    path = arguments.folder / "ggf_hh.parquet"
    names = [name for name in table if name not in ("n_btag", "event_id")]
    pq.write_table(
        pa.table(table),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=["n_btag"],
        column_encoding={name: "BYTE_STREAM_SPLIT" for name in names},
    )
    print(f"{len(kept)} of {n} events, {path.stat().st_size} bytes in {path}")


if __name__ == "__main__":
    main()

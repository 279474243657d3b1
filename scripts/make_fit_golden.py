"""Counts in 12 bins with interference in kappa and two nuisance parameters, fitted by Minuit."""

import json, numpy as np, iminuit
from iminuit import Minuit

B = 12
x = (np.arange(B) + 0.5) / B
s = np.round(30 * np.exp(-0.5 * ((x - 0.65) / 0.12) ** 2), 3)
i = np.round(-14 * np.exp(-0.5 * ((x - 0.6) / 0.15) ** 2), 3)
b = np.round(300 * np.exp(-1.8 * x) + 55, 3)
c = np.round(0.15 * (x - 0.3), 4)
W = 0.08


def rate(k, a1, a2):
    return (k * k * s + k * i) * np.exp(W * a1) + b * np.exp(c * a2)


n = np.random.default_rng(5).poisson(rate(1.0, 0.3, -0.5))
nll = lambda k, a1, a2: float(
    (rate(k, a1, a2) - n * np.log(rate(k, a1, a2))).sum() + 0.5 * (a1 * a1 + a2 * a2)
)


def grad(k, a1, a2):
    E, F = np.exp(W * a1), np.exp(c * a2)
    w = 1 - n / rate(k, a1, a2)
    return [
        float((w * (2 * k * s + i) * E).sum()),
        float((w * W * (k * k * s + k * i) * E).sum() + a1),
        float((w * c * b * F).sum() + a2),
    ]


def new(k):
    m = Minuit(nll, k, 0.0, 0.0, grad=grad, name=("kappa", "a1", "a2"))
    m.errordef = 0.5
    m.tol = 1e-8
    m.strategy = 2
    m.limits["kappa"] = (-6, 8)
    m.migrad()
    m.hesse()
    return m


ends = [new(k) for k in np.linspace(-3, 5, 9)]
ends = [m for m in ends if m.valid]
m = min(ends, key=lambda m: m.fval)
minima = sorted({round(e.values[0], 3): [e.fval, *e.values] for e in ends}.values())
print(minima, file=sys.stderr)
out = dict(
    origin=f"iminuit {iminuit.__version__} (MIGRAD, HESSE, MINOS; analytic gradient), numpy {np.__version__}; models/likelihood/tests/data/golden/README.md",
    signal=s.tolist(),
    interference=i.tolist(),
    background=b.tolist(),
    background_slope=c.tolist(),
    signal_width=W,
    counts=n.tolist(),
    bounds=[-6, 8],
    nll=m.fval,
    point=list(m.values),
    covariance=np.array(m.covariance).tolist(),
    minima=[p for p in minima],
)
out["minos"] = {}
for cl, level in ((0.6826894921370859, 1.0), (0.9544997361036416, 4.0)):
    m2 = new(m.values[0])
    m2.minos(cl=cl)
    out["minos"][str(int(level))] = [
        [m2.merrors[p].lower, m2.merrors[p].upper] for p in ("kappa", "a1", "a2")
    ]
grid = np.linspace(-1.5, 2.35, 12)
t = []
for g in grid:
    best = np.inf
    for a in ((0, 0), (1, -1), (-1, 1), (m.values[1], m.values[2])):
        q = Minuit(nll, g, *a, grad=grad, name=("kappa", "a1", "a2"))
        q.errordef = 0.5
        q.tol = 1e-8
        q.fixed["kappa"] = True
        q.migrad()
        if q.valid:
            best = min(best, q.fval)
    t.append(2 * (best - m.fval))
out["scan"] = dict(kappa=grid.tolist(), t=t)
imp = []
for k in (1, 2):
    e = m.errors[k]
    row = []
    for sign in (1, -1):
        v = list(m.values)
        v[k] += sign * e
        q = Minuit(nll, *v, grad=grad, name=("kappa", "a1", "a2"))
        q.errordef = 0.5
        q.tol = 1e-8
        q.fixed[k] = True
        q.migrad()
        row.append(q.values[0] - m.values[0])
    imp.append(row)
out["post_fit_impacts"] = imp
json.dump(out, sys.stdout, indent=1)
print(out["point"], out["minos"], t, imp)

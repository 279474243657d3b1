#!/usr/bin/env python3
"""Reference numbers of the unbinned likelihood, by JAX in f64.

usage: make_unbinned_golden.py > models/likelihood/tests/data/golden/unbinned.json

The inputs come from SplitMix64 with plain arithmetic, so that the test makes the same ones
to the bit; the polynomial of HistFactory's code 4 is solved for from its conditions, and
derivatives are those of JAX. Three processes, ten nuisance parameters: 0-7 change rates and
densities of all processes (code 4), 8 rate and density of the second (code 1), 9 all rates
(code 4p).
"""

import json

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
EVENTS, PROCESSES, SHAPES, SEED, THRESHOLD = 300, 3, 8, 2024, 1e-3


class Numbers:
    def __init__(self, state):
        self.state = state

    def uniform(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) >> 11) / float(1 << 53)

    def column(self, n, low, high):
        return np.array([low + (high - low) * self.uniform() for _ in range(n)])


numbers = Numbers(SEED)
weights = numbers.column(EVENTS, -0.2, 1.8)
ratios = [numbers.column(EVENTS, 0.3, 1.7) for _ in range(PROCESSES)]
ratios[1] *= np.where(np.arange(EVENTS) % 60 == 0, 0.01, 1.0)
shapes = [
    [(numbers.column(EVENTS, 0.85, 1.05), numbers.column(EVENTS, 0.9, 1.2)) for _ in range(SHAPES)]
    for _ in range(PROCESSES)
]
single = numbers.column(EVENTS, 0.85, 1.05), numbers.column(EVENTS, 0.9, 1.2)
rates = [
    [(numbers.column(1, 0.9, 1.0)[0], numbers.column(1, 1.0, 1.1)[0]) for _ in range(SHAPES)]
    for _ in range(PROCESSES)
]
NU = [320.0, 300.0, 180.0]
SINGLE_RATE, ALL_RATES = (0.93, 1.04), [(0.95, 1.1), (0.97, 1.02), (1.01, 0.96)]

powers = np.arange(1, 7)
conditions = np.concatenate(
    [
        [s**powers for s in (1.0, -1.0)],
        [powers * s ** (powers - 1) for s in (1.0, -1.0)],
        [powers * (powers - 1) * s ** np.abs(powers - 2) for s in (1.0, -1.0)],
    ]
)


def code1(alpha, low, high):
    return jnp.where(alpha >= 0, jnp.asarray(high) ** alpha, jnp.asarray(low) ** -alpha)


def code4(alpha, low, high):
    low, high = np.atleast_1d(low), np.atleast_1d(high)
    ll, lh = np.log(low), np.log(high)
    ends = [high - 1, low - 1, high * lh, -low * ll, high * lh**2, low * ll**2]
    coefficients = np.linalg.solve(conditions, np.stack(ends))
    inside = 1 + sum(coefficients[n] * alpha ** (n + 1) for n in range(6))
    return jnp.where(jnp.abs(alpha) < 1, inside, code1(alpha, low, high))


def code4p(alpha, low, high):
    odd, even = (high - low) / 2, (high + low - 2) / 16
    inside = alpha * odd + even * (15 * alpha**2 - 10 * alpha**4 + 3 * alpha**6)
    outside = jnp.where(alpha >= 0, alpha * (high - 1), -alpha * (low - 1))
    return 1 + jnp.where(jnp.abs(alpha) < 1, inside, outside)


def nll(theta):
    mu, alpha = theta[0], theta[1:]
    root = jnp.sqrt(mu)
    total, q = 0.0, 0.0
    for j, f in enumerate([mu - root, root, 1 - root]):
        v, p = f * NU[j], jnp.asarray(ratios[j])
        for k in range(SHAPES):
            v = v * code4(alpha[k], *rates[j][k])[0]
            p = p * code4(alpha[k], *shapes[j][k])
        if j == 1:
            v, p = v * code1(alpha[8], *SINGLE_RATE), p * code1(alpha[8], *single)
        v = v * code4p(alpha[9], *ALL_RATES[j])
        total, q = total + v, q + v * p
    lowest = THRESHOLD * np.abs(weights).sum()
    log = jnp.log(jnp.maximum(q, lowest)) + jnp.minimum(q - lowest, 0) / lowest
    return total - (weights * log).sum() + 0.5 * (alpha**2).sum(), (q < lowest).sum()


numbers = Numbers(99)
points = [np.r_[1.0, np.zeros(10)]]
for mu, size in [(1.1, 0.9), (0.8, 1.5), (1.3, 2.5), (1.7, 0.9), (0.5, 0.5)]:
    points.append(np.r_[mu, numbers.column(10, -size, size)])
points[1][2:5] = [1.0, -1.0, 0.0]
value = jax.jit(lambda theta: nll(theta)[0])
count = jax.jit(lambda theta: nll(theta)[1])
evaluations = []
for point in points:
    theta = jnp.asarray(point)
    evaluations.append(
        {
            "theta": point.tolist(),
            "nll": float(value(theta)),
            "gradient": np.asarray(jax.grad(value)(theta)).tolist(),
            "hessian": np.round(np.asarray(jax.hessian(value)(theta)), 9).ravel().tolist(),
            "below_threshold": int(count(theta)),
        }
    )
note = f"scripts/make_unbinned_golden.py, jax {jax.__version__}; Hessian rounded to 1e-9"
print(json.dumps({"note": note, "evaluations": evaluations}, separators=(",", ":")))

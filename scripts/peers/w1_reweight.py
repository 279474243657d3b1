"""W1, the peers' side: train an ensemble of reweighting networks in PyTorch or JAX.

Each member is an MLP 12->50->50->50->1 (ReLU) with the exponential loss
L = mean_A(w e^{Q/2}) + mean_B(w e^{-Q/2}), Adam(1e-3), batch = batch/2 of each class, and has
its own init, own Poisson(1) bootstrap weights and own shuffled batches (a gather per step).
Data are Gaussian: speed is measured here, not physics.
Metric: member-events/s = members * batch / step time; one JSON line on stdout.

usage: w1_reweight.py --impl torch-bmm --members 10 --batch 1024 --threads 2 --seconds 2
Needs numpy, and torch for the torch-* peers or jax[cpu] and optax for jax-vmap.
"""

import json
import sys
from functools import partial

from common import emit, measure, parser, rescale, setup, torch_threads

IMPLS = [
    "torch-seq",
    "torch-seq-fused",
    "torch-seq-compile",
    "torch-bmm",
    "torch-bmm-compile",
    "torch-vmap",
    "jax-vmap",
]
p = parser(__doc__)
p.add_argument("--impl", choices=IMPLS, default="torch-bmm")
p.add_argument("--events", type=int, default=50000, help="training events per class")
p.add_argument("--chunk", type=int, default=0, help="JAX: scan length (0 = auto)")
p.add_argument("--loss-out", default="", help="write loss history to this JSON (sanity)")
a = p.parse_args()
setup(a)  # before numpy and the peer library: it sets their thread counts
import numpy as np

M, B, H, N = a.members, a.batch // 2, (12, 50, 50, 50, 1), a.events
# Of one step: forward + dW + dX (no dX in layer 1).
FLOP = M * 2 * B * (3 * 2 * sum(i * o for i, o in zip(H[:-1], H[1:])) - 2 * H[0] * H[1])
rng = np.random.default_rng(a.seed)
XA = rng.standard_normal((N, 12)).astype(np.float32)
XB = (rng.standard_normal((N, 12)) * 1.05 + 0.15).astype(np.float32)
WA = rng.poisson(1.0, (M, N)).astype(np.float32)
WB = rng.poisson(1.0, (M, N)).astype(np.float32)
nb = N // B
PA = np.stack([rng.permutation(N)[: nb * B] for _ in range(M)]).reshape(M, nb, B).astype(np.int64)
PB = np.stack([rng.permutation(N)[: nb * B] for _ in range(M)]).reshape(M, nb, B).astype(np.int64)
hist = []


def init_np():  # kaiming-uniform like torch.nn.Linear
    return [
        (
            (rng.uniform(-1, 1, (M, i, o)) / np.sqrt(i)).astype(np.float32),
            (rng.uniform(-1, 1, (M, 1, o)) / np.sqrt(i)).astype(np.float32),
        )
        for i, o in zip(H[:-1], H[1:])
    ]


if a.impl.startswith("torch"):
    torch = torch_threads(a)
    import torch.nn as nn
    import torch.nn.functional as F

    xA, xB, wA, wB, pA, pB = map(torch.from_numpy, (XA, XB, WA, WB, PA, PB))
    if a.impl.startswith("torch-seq"):

        def mk():
            L = []
            for i, o in zip(H[:-1], H[1:]):
                L += [nn.Linear(i, o), nn.ReLU()]
            return nn.Sequential(*L[:-1])

        nets = [mk() for _ in range(M)]
        opts = [
            torch.optim.Adam(
                n.parameters(), lr=1e-3, fused=True if a.impl == "torch-seq-fused" else None
            )
            for n in nets
        ]

        def loss_fn(net, x, w):
            z = net(x)[:, 0]
            return (w[:B] * torch.exp(0.5 * z[:B])).mean() + (
                w[B:] * torch.exp(-0.5 * z[B:])
            ).mean()

        if a.impl == "torch-seq-compile":
            comp = torch.compile(lambda net, x, w: loss_fn(net, x, w))
        st_ = dict(m=0, k=0)

        def chunk(n):
            # n consecutive steps of ONE member, then move to the next: what a sequential trainer does
            m = st_["m"]
            st_["m"] = (m + 1) % M
            net, opt = nets[m], opts[m]
            for _ in range(n):
                k = st_["k"] % nb
                st_["k"] += 1
                ia, ib = pA[m, k], pB[m, k]
                x = torch.cat((xA[ia], xB[ib]))
                w = torch.cat((wA[m, ia], wB[m, ib]))
                opt.zero_grad(set_to_none=True)
                l = comp(net, x, w) if a.impl == "torch-seq-compile" else loss_fn(net, x, w)
                l.backward()
                opt.step()
            hist.append(float(l.detach()))

        if a.impl == "torch-seq-compile":
            # compile per member would recompile; time member 0 only (same cost per member)
            nets, opts, M = nets[:1], opts[:1], 1
        m = measure(chunk, a.seconds, a.repeats, n0=3)
        emit(a, "W1", a.impl, "train member-events/s", m, a.batch, "1/s", FLOP / a.members)
    else:
        params = [
            t
            for W, b in init_np()
            for t in (torch.from_numpy(W).requires_grad_(), torch.from_numpy(b).requires_grad_())
        ]
        opt = torch.optim.Adam(params, lr=1e-3, fused=True)
        ar = torch.arange(M)[:, None]
        if a.impl.startswith("torch-bmm"):

            def loss_fn(params, x, w):
                h = x
                for l in range(4):
                    h = torch.baddbmm(params[2 * l + 1], h, params[2 * l])
                    if l < 3:
                        h = F.relu(h)
                z = h[:, :, 0]
                return (
                    (w[:, :B] * torch.exp(0.5 * z[:, :B])).mean(1)
                    + (w[:, B:] * torch.exp(-0.5 * z[:, B:])).mean(1)
                ).sum()

            if a.impl.endswith("compile"):
                loss_fn = torch.compile(loss_fn)

            def grad_step(x, w):
                opt.zero_grad(set_to_none=True)
                l = loss_fn(params, x, w)
                l.backward()
                opt.step()
                return l.detach()
        else:
            from torch.func import grad_and_value, vmap

            def one(ps, x, w):
                h = x
                for l in range(4):
                    h = torch.addmm(ps[2 * l + 1], h, ps[2 * l])
                    if l < 3:
                        h = F.relu(h)
                z = h[:, 0]
                return (w[:B] * torch.exp(0.5 * z[:B])).mean() + (
                    w[B:] * torch.exp(-0.5 * z[B:])
                ).mean()

            g = vmap(grad_and_value(one))

            def grad_step(x, w):
                gr, l = g(tuple(q_.detach() for q_ in params), x, w)
                for q_, gi in zip(params, gr):
                    q_.grad = gi
                opt.step()
                return l.sum()

        st_ = dict(k=0)

        def chunk(n):
            for _ in range(n):
                k = st_["k"] % nb
                st_["k"] += 1
                ia, ib = pA[:, k], pB[:, k]
                x = torch.cat((xA[ia], xB[ib]), 1)
                w = torch.cat((wA[ar, ia], wB[ar, ib]), 1)
                l = grad_step(x, w)
            hist.append(float(l) / M)

        m = measure(chunk, a.seconds, a.repeats, n0=2, warm=2)
        emit(a, "W1", a.impl, "train member-events/s", m, M * a.batch, "1/s", FLOP)
else:
    import jax
    import jax.numpy as jnp
    import optax

    xA, xB, wA, wB = map(jnp.asarray, (XA, XB, WA, WB))
    pA = jnp.asarray(PA.transpose(1, 0, 2).astype(np.int32))
    pB = jnp.asarray(PB.transpose(1, 0, 2).astype(np.int32))
    params = [(jnp.asarray(W), jnp.asarray(b)) for W, b in init_np()]
    opt = optax.adam(1e-3)
    state = opt.init(params)

    def one(ps, x, w):
        h = x
        for l, (W, b) in enumerate(ps):
            h = h @ W + b
            if l < 3:
                h = jax.nn.relu(h)
        z = h[:, 0]
        return (w[:B] * jnp.exp(0.5 * z[:B])).mean() + (w[B:] * jnp.exp(-0.5 * z[B:])).mean()

    vg = jax.vmap(jax.value_and_grad(one))

    @partial(jax.jit, static_argnums=3, donate_argnums=(0, 1))
    def run(params, state, k0, n, xA, xB, wA, wB, pA, pB):
        def step(c, k):
            ps, s = c
            ia, ib = pA[k % nb], pB[k % nb]
            x = jnp.concatenate((xA[ia], xB[ib]), 1)
            w = jnp.concatenate((jnp.take_along_axis(wA, ia, 1), jnp.take_along_axis(wB, ib, 1)), 1)
            l, g = vg(ps, x, w)
            u, s = opt.update(g, s, ps)
            return (optax.apply_updates(ps, u), s), l.mean()

        (params, state), ls = jax.lax.scan(step, (params, state), k0 + jnp.arange(n))
        return params, state, ls[-1]

    S = a.chunk or max(2, min(200, 400 // M))
    box = [params, state, 0]

    def chunk(n):
        for _ in range(n):
            p_, s_, l = run(box[0], box[1], box[2], S, xA, xB, wA, wB, pA, pB)
            l.block_until_ready()
            box[:] = [p_, s_, (box[2] + S) % nb]
            hist.append(float(l))

    m = measure(chunk, a.seconds, a.repeats, n0=1)
    rescale(m, S)
    emit(a, "W1", a.impl, "train member-events/s", m, M * a.batch, "1/s", FLOP, scan_len=S)
if a.loss_out:
    json.dump(hist, open(a.loss_out, "w"))
print(f"# loss first {hist[0]:.4f} last {hist[-1]:.4f}", file=sys.stderr)

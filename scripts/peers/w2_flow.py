"""W2, the peers' side: train and sample a conditional spline flow in PyTorch or JAX.

D = 6 features given C = 5, 10 x [batch norm, LU linear with permutation, rational-quadratic
coupling], K = 4 bins, tails from B = 3, residual conditioner of one block of 32 units, dropout
0.1, Adam(1e-3).

--impl nflows   the model itself, members one after the other
--impl jax      the same model (log p agrees with nflows: --check 1), members vmapped
--impl zuko     not the same model: NSF coupling without batch norm and LU, MLP(32, 32, 32)
--impl flowjax  not the same model: coupling flow without batch norm and LU, MLP(32, 32);
                sampling alone, from parameters as drawn

Metrics: training member-events/s, and sampled events/s of one member; JSON lines on stdout.
Needs numpy, and torch with nflows or zuko, or jax[cpu] with optax or flowjax.
"""

import json
import sys

from common import emit, measure, parser, rescale, setup, torch_threads

p = parser(__doc__)
IMPLS = ["nflows", "nflows-compile", "jax", "zuko", "flowjax"]
p.add_argument("--impl", choices=IMPLS, default="nflows")
p.add_argument("--layers", type=int, default=10)
p.add_argument("--bins", type=int, default=4)
p.add_argument("--hidden", type=int, default=32)
p.add_argument("--nsample", type=int, default=100000)
p.add_argument("--dropout", type=float, default=0.1)
p.add_argument("--chunk", type=int, default=0)
p.add_argument("--pretrain", type=int, default=100, help="training steps before sampling is timed")
p.add_argument("--check", type=int, default=0)
p.add_argument("--training", type=int, default=1, help="0: training is not timed")
p.add_argument("--sampling", type=int, default=1, help="0: sampling is not timed")
a = p.parse_args()
setup(a)
import numpy as np

D, C, LYR, K, HID, TB = 6, 5, a.layers, a.bins, a.hidden, 3.0
M, B, N = a.members, a.batch, 100000
rng = np.random.default_rng(a.seed)
CTX = rng.standard_normal((N, C)).astype(np.float32)
X = rng.standard_normal((N, D)).astype(np.float32)
X[:, :C] += 0.5 * CTX
X[:, 0] = np.sign(X[:, 0]) * np.abs(X[:, 0]) ** 0.7
X[:, 1] += 0.3 * X[:, 0] ** 2
X = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
nb = N // B
PERM = np.stack([rng.permutation(N)[: nb * B] for _ in range(M)]).reshape(M, nb, B)
MAC = (D // 2 + C) * HID + 2 * HID * HID + C * HID + HID * (D // 2) * (3 * K - 1) + 2 * D * D
FLOP_EV = 6 * MAC * LYR  # GEMM part only (x3 fwd+bwd); spline transcendental work not counted
hist = []


def build_nflows(dropout=a.dropout):
    import torch

    if not hasattr(
        torch, "triangular_solve"
    ):  # removed from recent torch, used by nflows 0.14 LU inverse
        raise RuntimeError("torch.triangular_solve missing")
    from nflows import distributions, flows, transforms
    from nflows.nn.nets import ResidualNet
    from nflows.utils import torchutils

    T = []
    for l in range(LYR):
        T += [
            transforms.BatchNorm(D),
            transforms.CompositeTransform(
                [
                    transforms.RandomPermutation(D),
                    transforms.LULinear(D, identity_init=True),
                ]
            ),
            transforms.PiecewiseRationalQuadraticCouplingTransform(
                mask=torchutils.create_alternating_binary_mask(D, even=(l % 2 == 0)),
                transform_net_create_fn=lambda i, o: ResidualNet(
                    i,
                    o,
                    hidden_features=HID,
                    context_features=C,
                    num_blocks=1,
                    dropout_probability=dropout,
                ),
                num_bins=K,
                tails="linear",
                tail_bound=TB,
            ),
        ]
    return flows.Flow(transforms.CompositeTransform(T), distributions.StandardNormal([D]))


def torch_bench(nets, name):
    import torch

    x, c = torch.from_numpy(X), torch.from_numpy(CTX)
    pm = torch.from_numpy(PERM)
    opts = [torch.optim.Adam(n.parameters(), lr=1e-3) for n in nets]
    lp = (
        (lambda n, xx, cc: n.log_prob(xx, context=cc))
        if name.startswith("nflows")
        else (lambda n, xx, cc: n(cc).log_prob(xx))
    )
    if name.endswith("compile"):
        lp = torch.compile(lp)
    s = dict(m=0, k=0)

    def chunk(n):
        m = s["m"]
        s["m"] = (m + 1) % M
        for _ in range(n):
            i = pm[m, s["k"] % nb]
            s["k"] += 1
            opts[m].zero_grad(set_to_none=True)
            l = -lp(nets[m], x[i], c[i]).mean()
            l.backward()
            opts[m].step()
        hist.append(float(l.detach()))

    if a.training:
        m = measure(chunk, a.seconds, a.repeats, warm=2)
        emit(a, "W2", name, "train member-events/s", m, B, "1/s", FLOP_EV * B)
    if a.sampling:
        s["m"] = 0
        for _ in range(a.pretrain):
            s["m"] = 0
            chunk(1)
        net = nets[0].eval()
        cs = torch.from_numpy(CTX[rng.integers(0, N, a.nsample)])

        def samp(n):
            with torch.no_grad():
                for _ in range(n):
                    if name.startswith("nflows"):
                        net.sample(1, context=cs)
                    else:
                        net(cs).sample()

        m = measure(samp, a.seconds, a.repeats)
        emit(a, "W2", name, "sample events/s", m, a.nsample, "1/s")


# ----- hand-written JAX, same parametrisation as nflows -----
def jax_model():
    import jax, jax.numpy as jnp

    tl = np.tril_indices(D, -1)
    tu = np.triu_indices(D, 1)
    cst = float(np.log(np.exp(1 - 1e-3) - 1))
    bcst = float(np.log(np.exp(1 - 1e-5) - 1))

    def idx(l):  # transformed / identity features
        t = np.arange(0, D, 2) if l % 2 == 0 else np.arange(1, D, 2)
        return t, np.setdiff1d(np.arange(D), t)

    def lin(key, i, o, s=None):
        k1, k2 = jax.random.split(key)
        s = 1 / np.sqrt(i) if s is None else s
        return (
            jax.random.uniform(k1, (i, o), minval=-s, maxval=s),
            jax.random.uniform(k2, (o,), minval=-s, maxval=s),
        )

    def init(key):
        P, S = [], []
        for l in range(LYR):
            key, *k = jax.random.split(key, 7)
            P.append(
                dict(
                    bw=jnp.full(D, bcst),
                    bb=jnp.zeros(D),
                    lo=jnp.zeros(len(tl[0])),
                    up=jnp.zeros(len(tu[0])),
                    di=jnp.full(D, cst),
                    lb=jnp.zeros(D),
                    l0=lin(k[0], D // 2 + C, HID),
                    l1=lin(k[1], HID, HID),
                    l2=lin(k[2], HID, HID, 1e-3),
                    lc=lin(k[3], C, HID),
                    lf=lin(k[4], HID, D // 2 * (3 * K - 1)),
                )
            )
            S.append(
                dict(
                    m=jnp.zeros(D),
                    v=jnp.zeros(D),
                    perm=jnp.eye(D)[jax.random.permutation(k[5], D)],
                )
            )
        return P, S

    def LU(q):
        L = jnp.eye(D).at[tl].set(q["lo"])
        d = jax.nn.softplus(q["di"]) + 1e-3
        U = jnp.zeros((D, D)).at[tu].set(q["up"]) + jnp.diag(d)
        return L, U, jnp.log(d).sum()

    def cond(q, xi, c, key):
        h = jnp.concatenate((xi, c), 1) @ q["l0"][0] + q["l0"][1]
        t = jax.nn.relu(h) @ q["l1"][0] + q["l1"][1]
        t = jax.nn.relu(t)
        if key is not None and a.dropout > 0:
            t = jnp.where(
                jax.random.bernoulli(key, 1 - a.dropout, t.shape),
                t / (1 - a.dropout),
                0.0,
            )
        t = t @ q["l2"][0] + q["l2"][1]
        h = h + t * jax.nn.sigmoid(c @ q["lc"][0] + q["lc"][1])
        return (h @ q["lf"][0] + q["lf"][1]).reshape(h.shape[0], D // 2, 3 * K - 1)

    def rqs(x, th, inverse):
        mw = 1e-3

        def knots(u):
            w = mw + (1 - mw * K) * jax.nn.softmax(u / np.sqrt(HID), -1)
            cw = 2 * TB * jnp.cumsum(w, -1) - TB
            cw = jnp.concatenate(
                (
                    jnp.full(cw.shape[:-1] + (1,), -TB),
                    cw[..., :-1],
                    jnp.full(cw.shape[:-1] + (1,), TB),
                ),
                -1,
            )
            return cw, cw[..., 1:] - cw[..., :-1]

        cw, w = knots(th[..., :K])
        ch, h = knots(th[..., K : 2 * K])
        d = jax.nn.softplus(th[..., 2 * K :]) + mw
        one = jnp.ones(d.shape[:-1] + (1,), d.dtype)
        d = jnp.concatenate((one, d, one), -1)
        inside = (x >= -TB) & (x <= TB)
        xs = jnp.where(inside, x, 0.0)
        oh = (xs[..., None] >= (ch if inverse else cw)[..., 1:-1]).sum(-1)  # bin index
        sel = (oh[..., None] == jnp.arange(K)).astype(x.dtype)  # one-hot select, no gather
        pick = lambda v: (v * sel).sum(-1)
        x0, y0, bw, bh, d0, d1 = (
            pick(cw[..., :-1]),
            pick(ch[..., :-1]),
            pick(w),
            pick(h),
            pick(d[..., :-1]),
            pick(d[..., 1:]),
        )
        s = bh / bw
        e = d0 + d1 - 2 * s
        if inverse:
            yy = xs - y0
            aa = yy * e + bh * (s - d0)
            bb = bh * d0 - yy * e
            cc = -s * yy
            t = 2 * cc / (-bb - jnp.sqrt(jnp.maximum(bb * bb - 4 * aa * cc, 0.0)))
            out = t * bw + x0
        else:
            t = (xs - x0) / bw
        tt = t * (1 - t)
        den = s + e * tt
        if not inverse:
            out = y0 + bh * (s * t * t + d0 * tt) / den
        ld = jnp.log(s * s * (d1 * t * t + 2 * s * tt + d0 * (1 - t) ** 2)) - 2 * jnp.log(den)
        ld = -ld if inverse else ld
        return jnp.where(inside, out, x), jnp.where(inside, ld, 0.0)

    def logp(P, S, x, c, key, train):
        ld, S2 = 0.0, []
        for l in range(LYR):
            q, s = P[l], S[l]
            if train:
                mu, va = x.mean(0), x.var(0, ddof=1)
                S2.append(
                    dict(
                        m=0.9 * s["m"] + 0.1 * jax.lax.stop_gradient(mu),
                        v=0.9 * s["v"] + 0.1 * jax.lax.stop_gradient(va),
                        perm=s["perm"],
                    )
                )
            else:
                mu, va = s["m"], s["v"]
                S2.append(s)
            g = jax.nn.softplus(q["bw"]) + 1e-5
            x = g * (x - mu) / jnp.sqrt(va + 1e-5) + q["bb"]
            ld += (jnp.log(g) - 0.5 * jnp.log(va + 1e-5)).sum()
            L, U, lu = LU(q)
            x = x @ (L @ U @ s["perm"]).T + q["lb"]
            ld += lu
            t, i = idx(l)
            k = jax.random.fold_in(key, l) if train else None
            y, dd = rqs(x[:, t], cond(q, x[:, i], c, k), False)
            x = x.at[:, t].set(y)
            ld += dd.sum(1)
        return -0.5 * (x * x).sum(1) - 0.5 * D * np.log(2 * np.pi) + ld, S2

    def sample(P, S, c, key):
        x = jax.random.normal(key, (c.shape[0], D))
        for l in reversed(range(LYR)):
            q, s = P[l], S[l]
            t, i = idx(l)
            y, _ = rqs(x[:, t], cond(q, x[:, i], c, None), True)
            x = x.at[:, t].set(y)
            L, U, _ = LU(q)
            x = (x - q["lb"]) @ jnp.linalg.inv(L @ U @ s["perm"]).T
            x = (x - q["bb"]) / (jax.nn.softplus(q["bw"]) + 1e-5) * jnp.sqrt(s["v"] + 1e-5) + s["m"]
        return x

    return init, logp, sample


def from_nflows(flow):
    import jax.numpy as jnp

    g = lambda t: jnp.asarray(t.detach().numpy())
    li = lambda m: (g(m.weight).T, g(m.bias))
    P, S = [], []
    T = flow._transform._transforms
    for l in range(LYR):
        bn, ct, rq = T[3 * l : 3 * l + 3]
        pe, lu = ct._transforms
        n = rq.transform_net
        b = n.blocks[0]
        P.append(
            dict(
                bw=g(bn.unconstrained_weight),
                bb=g(bn.bias),
                lo=g(lu.lower_entries),
                up=g(lu.upper_entries),
                di=g(lu.unconstrained_upper_diag),
                lb=g(lu.bias),
                l0=li(n.initial_layer),
                l1=li(b.linear_layers[0]),
                l2=li(b.linear_layers[1]),
                lc=li(b.context_layer),
                lf=li(n.final_layer),
            )
        )
        S.append(
            dict(
                m=g(bn.running_mean),
                v=g(bn.running_var),
                perm=jnp.eye(D)[g(pe._permutation)],
            )
        )
    return P, S


if a.check:
    import torch, jax

    torch.manual_seed(0)
    f = build_nflows()
    o = torch.optim.Adam(f.parameters(), 1e-3)
    for k in range(50):
        o.zero_grad()
        (-f.log_prob(torch.from_numpy(X[:1024]), torch.from_numpy(CTX[:1024])).mean()).backward()
        o.step()
    f.eval()
    lp = f.log_prob(torch.from_numpy(X[:2000]), torch.from_numpy(CTX[:2000])).detach().numpy()
    init, logp, sample = jax_model()
    P, S = from_nflows(f)
    lj, _ = logp(P, S, X[:2000], CTX[:2000], None, False)
    xs = sample(P, S, CTX[:2000], jax.random.key(1))
    print(
        json.dumps(
            dict(
                check="jax-vs-nflows",
                max_abs_diff_logp=float(np.abs(lp - np.asarray(lj)).max()),
                mean_logp=float(lp.mean()),
                sample_std=np.asarray(xs).std(0).tolist(),
            )
        )
    )
    sys.exit(0)

if a.impl.startswith("nflows"):
    torch = torch_threads(a)
    torch.manual_seed(a.seed)
    torch_bench([build_nflows() for _ in range(M)], a.impl)
elif a.impl == "zuko":
    torch = torch_threads(a)
    torch.manual_seed(a.seed)
    import zuko

    torch_bench(
        [
            zuko.flows.NSF(D, C, transforms=LYR, bins=K, passes=2, hidden_features=(HID,) * 3)
            for _ in range(M)
        ],
        "zuko(not equivalent)",
    )
elif a.impl == "jax":
    import jax, jax.numpy as jnp, optax
    from functools import partial

    init, logp, sample = jax_model()
    P, S = jax.vmap(init)(jax.random.split(jax.random.key(a.seed), M))
    opt = optax.adam(1e-3)
    st_ = opt.init(P)
    x, c, pm = (
        jnp.asarray(X),
        jnp.asarray(CTX),
        jnp.asarray(PERM.transpose(1, 0, 2).astype(np.int32)),
    )

    def loss(P, S, x, c, k):
        lp, S2 = logp(P, S, x, c, k, True)
        return -lp.mean(), S2

    vg = jax.vmap(jax.value_and_grad(loss, has_aux=True))

    @partial(jax.jit, static_argnums=4, donate_argnums=(0, 1, 2))
    def run(P, S, st, k0, n, key, x, c, pm):
        def step(carry, k):
            P, S, st = carry
            i = pm[k % nb]
            (l, S), g = vg(P, S, x[i], c[i], jax.random.split(jax.random.fold_in(key, k), M))
            u, st = opt.update(g, st, P)
            return (optax.apply_updates(P, u), S, st), l.mean()

        (P, S, st), ls = jax.lax.scan(step, (P, S, st), k0 + jnp.arange(n))
        return P, S, st, ls[-1]

    n_scan = a.chunk or max(2, 50 // M)
    box = [P, S, st_, 0]
    key = jax.random.key(7)

    def chunk(n):
        for _ in range(n):
            P, S, st, l = run(box[0], box[1], box[2], box[3], n_scan, key, x, c, pm)
            l.block_until_ready()
            box[:] = [P, S, st, box[3] + n_scan]
            hist.append(float(l))

    if a.training:
        m = measure(chunk, a.seconds, a.repeats)
        rescale(m, n_scan)
        flop = FLOP_EV * B * M
        emit(a, "W2", "jax", "train member-events/s", m, M * B, "1/s", flop, scan_len=n_scan)
    if a.sampling:
        while box[3] < a.pretrain:
            chunk(1)
        sj = jax.jit(sample)
        P0 = jax.tree.map(lambda v: v[0], box[0])
        S0 = jax.tree.map(lambda v: v[0], box[1])
        cs = jnp.asarray(CTX[rng.integers(0, N, a.nsample)])

        def samp(n):
            for j in range(n):
                sj(P0, S0, cs, jax.random.key(j)).block_until_ready()

        m = measure(samp, a.seconds, a.repeats)
        emit(a, "W2", "jax", "sample events/s", m, a.nsample, "1/s")
        assert np.isfinite(np.asarray(sj(P0, S0, cs, jax.random.key(0)))).all()
elif a.impl == "flowjax":
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import coupling_flow

    flow = coupling_flow(
        jax.random.key(a.seed),
        base_dist=Normal(jnp.zeros(D)),
        transformer=RationalQuadraticSpline(knots=K, interval=TB),
        cond_dim=C,
        flow_layers=LYR,
        nn_width=HID,
        nn_depth=2,
    )
    draw = eqx.filter_jit(lambda flow, key, context: flow.sample(key, (), context))
    context = jnp.asarray(CTX[rng.integers(0, N, a.nsample)])

    def samp(n):
        for k in range(n):
            draw(flow, jax.random.key(k), context).block_until_ready()

    m = measure(samp, a.seconds, a.repeats)
    emit(a, "W2", "flowjax(not equivalent)", "sample events/s", m, a.nsample, "1/s")

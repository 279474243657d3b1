"""W3, the peers' side: train one large classifier in PyTorch or JAX.

16-5x1000-1, SiLU, binary cross-entropy with the events' weights, Adam(1e-3). Data are
Gaussian: speed is measured here, not physics.
Metric: events/s = batch / step time; one JSON line on stdout.

usage: w3_classifier.py --impl torch-compile --batch 8192 --threads 2 --seconds 2
Needs numpy, and torch for the torch peers or jax[cpu] and optax for jax.
"""

import sys
from functools import partial
from itertools import pairwise

from common import emit, measure, parser, setup, torch_threads

LAYERS = (16, 1000, 1000, 1000, 1000, 1000, 1)
EVENTS = 65_536


def flop(batch):
    """FLOP of a step: forward, by weights, and by the inputs of all layers but the first."""
    products = sum(i * o for i, o in pairwise(LAYERS))
    return batch * (6 * products - 2 * LAYERS[0] * LAYERS[1])


def sample(seed):
    """Features [N, 16], labels [N], weights [N] and an order of the events, numpy arrays."""
    import numpy as np

    stream = np.random.default_rng(seed)
    labels = (stream.random(EVENTS) < 0.5).astype(np.float32)
    features = stream.standard_normal((EVENTS, LAYERS[0]), dtype=np.float32)
    features += 0.1 * labels[:, None]
    weights = stream.exponential(1.0, EVENTS).astype(np.float32)
    return features, labels, weights, stream.permutation(EVENTS)


def torch_steps(arguments, compiled):
    """A function of n steps that returns the last loss."""
    torch = torch_threads(arguments)
    from torch.nn.functional import binary_cross_entropy_with_logits

    torch.manual_seed(arguments.seed)
    x, y, w, order = map(torch.from_numpy, sample(arguments.seed))
    layers = []
    for inputs, outputs in pairwise(LAYERS):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.SiLU()]
    network = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)

    def loss_of(x, y, w):
        return binary_cross_entropy_with_logits(network(x)[:, 0], y, weight=w)

    if compiled:
        loss_of = torch.compile(loss_of)
    batches = order.split(arguments.batch)
    done = 0

    def steps(n):
        nonlocal done
        for _ in range(n):
            rows = batches[done % len(batches)]
            done += 1
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(x[rows], y[rows], w[rows])
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    return steps


def jax_steps(arguments):
    """A function of n steps that returns the last loss."""
    import jax
    import jax.numpy as jnp
    import optax

    x, y, w, order = map(jnp.asarray, sample(arguments.seed))
    initialise = jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    keys = jax.random.split(jax.random.key(arguments.seed), len(LAYERS) - 1)
    parameters = [
        (initialise(key, shape), jnp.zeros(shape[1]))
        for key, shape in zip(keys, pairwise(LAYERS), strict=True)
    ]
    adam = optax.adam(1e-3)
    state = adam.init(parameters)

    def loss_of(parameters, x, y, w):
        for weight, bias in parameters[:-1]:
            x = jax.nn.silu(x @ weight + bias)
        weight, bias = parameters[-1]
        logits = (x @ weight + bias)[:, 0]
        return (w * optax.sigmoid_binary_cross_entropy(logits, y)).mean()

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(parameters, state, rows):
        loss, gradient = jax.value_and_grad(loss_of)(parameters, x[rows], y[rows], w[rows])
        update, state = adam.update(gradient, state, parameters)
        return optax.apply_updates(parameters, update), state, loss

    batches = jnp.split(order, EVENTS // arguments.batch)
    done = 0

    def steps(n):
        nonlocal parameters, state, done
        for _ in range(n):
            parameters, state, loss = step(parameters, state, batches[done % len(batches)])
            done += 1
        return float(loss)

    return steps


def main():
    options = parser(__doc__)
    options.add_argument("--impl", choices=["torch", "torch-compile", "jax"], default="torch")
    arguments = options.parse_args()
    if EVENTS % arguments.batch:
        options.error(f"--batch must divide {EVENTS}")
    setup(arguments)  # before numpy and the peer library: it sets their thread counts
    if arguments.impl == "jax":
        steps = jax_steps(arguments)
    else:
        steps = torch_steps(arguments, arguments.impl == "torch-compile")
    losses = []
    measured = measure(
        lambda n: losses.append(steps(n)), arguments.seconds, arguments.repeats, warm=2
    )
    emit(
        arguments,
        "W3",
        arguments.impl,
        "train events/s",
        measured,
        arguments.batch,
        "1/s",
        flop(arguments.batch),
    )
    print(f"# loss first {losses[0]:.4f} last {losses[-1]:.4f}", file=sys.stderr)


if __name__ == "__main__":
    main()

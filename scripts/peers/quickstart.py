"""The quickstart in plain PyTorch: an ensemble of reweighting networks, member after member.

Reads the files, inputs and numbers of configs/quickstart.toml and does what it asks for:
events of the sideband, a fold held out and one to validate, inputs standardised, bootstrapped
members with the exponential loss, Adam, early stopping with the best weights kept, each member
normalised to the target's yield, application to every source event, mean and standard
deviation over members. No report and no closure test.

Prints one JSON line: wall seconds of the whole program but for the start of Python, mean
epochs, mean and spread of the predicted yield. Needs numpy, pyarrow and torch.

usage: quickstart.py --members 10 --threads 2 [--out FILE.npz]
"""

import argparse
import copy
import json
import time
import tomllib
from itertools import pairwise
from pathlib import Path

from common import setup, torch_threads, versions

BEGIN = time.perf_counter()
ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs/quickstart.toml"
LAYERS = (50, 50, 50)
# What the configuration leaves at its default.
DEFAULTS = {
    "batch": 1024,
    "epochs": 200,
    "patience": 15,
    "validation": 0.2,
    "held_out": 0.2,
    "learning_rate": 1e-3,
}


def column(table, expression):
    """A column of the file, or the logarithm of one, `log(NAME)`."""
    import numpy as np

    if expression.startswith("log("):
        return np.log(table[expression[4:-1]].to_numpy())
    return table[expression].to_numpy()


def read(path, inputs, selected):
    """(features [N, 12], weights [N], whether in the sideband [N]) of the selected events."""
    import numpy as np
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(CONFIG.parent / path)
    table = table.filter(selected)
    features = np.stack([column(table, name) for name in inputs], 1).astype(np.float32)
    return features, table["weight"].to_numpy().astype(np.float32), in_sideband(table)


def in_sideband(table):
    """Whether an event lies outside the signal and the validation region of the mass plane."""
    import numpy as np

    m1, m2 = table["m_h1"].to_numpy(), table["m_h2"].to_numpy()
    from_peak = np.hypot((m1 - 124) / (0.1 * m1), (m2 - 117) / (0.1 * m2))
    from_control = np.hypot(m1 - 1.05 * 124, m2 - 1.05 * 117)
    beside = np.abs(m2 - 117) <= np.abs(m1 - 124)
    signal = from_peak < 1.6
    validation = ~signal & (from_control < 45) & beside
    return ~signal & ~validation


def folds(count, settings, stream):
    """(rows that train, rows that validate) of `count` events, in random order."""
    order = stream.permutation(count)
    held_out = round(settings["held_out"] * count)
    validation = round(settings["validation"] * (count - held_out))
    return order[held_out + validation :], order[held_out : held_out + validation]


def network(torch, inputs):
    """12-50-50-50-1, ReLU."""
    widths = (inputs, *LAYERS)
    layers = []
    for before, after in pairwise(widths):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], 1))


def batches(torch, sizes, share):
    """Pairs of row indices, one epoch: one pass over the larger class, the smaller recycles."""
    steps = -(-max(sizes) // share)
    orders = []
    for size in sizes:
        passes = -(-steps * share // size)
        order = torch.cat([torch.randperm(size) for _ in range(passes)])
        orders.append(order[: steps * share].split(share))
    return zip(*orders, strict=True)


def exponential_loss(torch, net, source, target):
    """mean w exp(Q/2) over the source plus mean w exp(-Q/2) over the target."""
    (xs, ws), (xt, wt) = source, target
    q = net(torch.cat((xs, xt)))[:, 0]
    qs, qt = q[: len(xs)], q[len(xs) :]
    return (ws * torch.exp(0.5 * qs)).mean() + (wt * torch.exp(-0.5 * qt)).mean()


def bootstrapped(torch, weights):
    """Weights times a Poisson(1) number, of mean one."""
    drawn = weights * torch.poisson(torch.ones_like(weights))
    return drawn / drawn.mean()


def train(torch, training, validation, settings):
    """A member and its number of epochs. Data: [(features, weights)] of source and target."""
    drawn = [(x, bootstrapped(torch, w)) for x, w in training]
    valid = [(x, w / w.mean()) for x, w in validation]
    net = network(torch, drawn[0][0].shape[1])
    adam = torch.optim.Adam(net.parameters(), lr=settings["learning_rate"])
    best, best_weights, waited, epoch = float("inf"), None, 0, 0
    while epoch < settings["epochs"] and waited < settings["patience"]:
        epoch += 1
        for pair in batches(torch, [len(x) for x, _ in drawn], settings["batch"] // 2):
            classes = [(x[rows], w[rows]) for (x, w), rows in zip(drawn, pair, strict=True)]
            adam.zero_grad(set_to_none=True)
            exponential_loss(torch, net, *classes).backward()
            adam.step()
        with torch.no_grad():
            loss = float(exponential_loss(torch, net, *valid))
        if loss < best:
            best, best_weights, waited = loss, copy.deepcopy(net.state_dict()), 0
        else:
            waited += 1
    net.load_state_dict(best_weights)
    return net, epoch


def prepare(torch, config, settings, stream):
    """(training, validation, in the sideband, every source event) as pairs of tensors."""
    import pyarrow.compute as pc

    inputs = config["features"]["inputs"]
    files = [
        read(config["data"]["source"]["path"], inputs, pc.field("n_btag") == 2),
        read(config["data"]["target"]["path"], inputs, pc.field("n_btag") >= 4),
    ]
    region = [(x[inside], w[inside]) for x, w, inside in files]
    rows = [folds(len(x), settings, stream) for x, _ in region]
    mean, scale = standardisation(region[0][0][rows[0][0]], region[1][0][rows[1][0]])

    def tensors(x, w):
        return torch.from_numpy((x - mean) / scale), torch.from_numpy(w)

    training = [tensors(x[r], w[r]) for (x, w), (r, _) in zip(region, rows, strict=True)]
    validation = [tensors(x[r], w[r]) for (x, w), (_, r) in zip(region, rows, strict=True)]
    return training, validation, [tensors(*both) for both in region], tensors(*files[0][:2])


def standardisation(source, target):
    """Mean and standard deviation of each input over both classes together."""
    import numpy as np

    both = np.concatenate((source, target))
    return both.mean(0), both.std(0)


def main():
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--members", type=int, default=100)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", help="weights [members, events], mean and deviation, as .npz")
    options.set_defaults(pin=0)
    arguments = options.parse_args()
    setup(arguments)
    torch = torch_threads(arguments)
    import numpy as np

    with CONFIG.open("rb") as file:
        config = tomllib.load(file)
    settings = DEFAULTS | config["training"]
    torch.manual_seed(arguments.seed)
    stream = np.random.default_rng(arguments.seed)
    training, validation, region, everything = prepare(torch, config, settings, stream)
    (source, source_weights), (_, target_weights) = region
    weights, epochs = [], []
    for _ in range(arguments.members):
        member, count = train(torch, training, validation, settings)
        with torch.no_grad():
            reweighted = (source_weights * torch.exp(member(source)[:, 0])).sum()
            ratio = torch.exp(member(everything[0])[:, 0]) * target_weights.sum() / reweighted
        weights.append((everything[1] * ratio).numpy())
        epochs.append(count)
    weights = np.stack(weights)
    mean, deviation = weights.mean(0), weights.std(0)
    if arguments.out:
        np.savez(arguments.out, weights=weights, mean=mean, deviation=deviation)
    record = {
        "workload": "quickstart",
        "impl": "torch",
        "members": arguments.members,
        "threads": arguments.threads,
        "wall_s": time.perf_counter() - BEGIN,
        "epochs": sum(epochs) / len(epochs),
        "events": len(mean),
        "yield": float(mean.sum()),
        "yield_deviation": float(weights.sum(1).std()),
        "versions": versions(),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()

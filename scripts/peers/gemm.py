"""Matrix-product rate of this machine on the shape of W1's hidden layers, in single precision.

usage: gemm.py --impl numpy --threads 2 --seconds 2

--impl numpy          one product [1024, 50] x [50, 50] after the other, by numpy's BLAS
--impl torch          the same by PyTorch's
--impl torch-batched  100 such products in one call, as an ensemble could do them

Metric: FLOP/s, a multiplication and an addition counted as two; one JSON line on stdout.
"""

from common import emit, measure, parser, setup, torch_threads

EVENTS, WIDTH, PRODUCTS = 1024, 50, 100
FLOP = 2 * EVENTS * WIDTH * WIDTH


def numpy_product(arguments):
    """A function of one product, and its FLOP."""
    import numpy as np

    stream = np.random.default_rng(arguments.seed)
    x = stream.standard_normal((EVENTS, WIDTH), dtype=np.float32)
    w = stream.standard_normal((WIDTH, WIDTH), dtype=np.float32)
    out = np.empty_like(x)
    return lambda: np.matmul(x, w, out=out), FLOP


def torch_product(arguments, batched):
    """A function of one product, or of a batch of them, and its FLOP."""
    torch = torch_threads(arguments)
    torch.manual_seed(arguments.seed)
    count = PRODUCTS if batched else 1
    lead = (PRODUCTS,) if batched else ()
    x, w = torch.randn(*lead, EVENTS, WIDTH), torch.randn(*lead, WIDTH, WIDTH)
    out = torch.empty_like(x)
    return lambda: torch.matmul(x, w, out=out), count * FLOP


def main():
    options = parser(__doc__)
    options.add_argument("--impl", choices=["numpy", "torch", "torch-batched"], default="torch")
    arguments = options.parse_args()
    setup(arguments)
    if arguments.impl == "numpy":
        product, flop = numpy_product(arguments)
    else:
        product, flop = torch_product(arguments, arguments.impl == "torch-batched")

    def chunk(n):
        for _ in range(n):
            product()

    measured = measure(chunk, arguments.seconds, arguments.repeats)
    emit(arguments, "gemm", arguments.impl, "FLOP/s", measured, flop, "1/s")


if __name__ == "__main__":
    main()

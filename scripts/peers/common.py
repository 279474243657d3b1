"""Shared helpers for the peer benchmarks (only needs numpy + the peer library).

Call `setup(args)` BEFORE importing torch / jax: thread counts are environment-driven.
Every result is one JSON object on one stdout line (see `emit`).
"""

import argparse
import json
import os
import platform
import statistics as st
import sys
import tempfile
import time
from importlib.metadata import version


def parser(desc, members=1, batch=1024, seconds=3.0):
    p = argparse.ArgumentParser(
        description=desc, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    p.add_argument("--threads", type=int, default=1, help="intra-op threads for every library")
    p.add_argument("--seconds", type=float, default=seconds, help="measured time per result")
    p.add_argument("--members", type=int, default=members, help="ensemble members M")
    p.add_argument("--batch", type=int, default=batch, help="events per step and member")
    p.add_argument("--repeats", type=int, default=7, help="target number of timed chunks")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument(
        "--pin", type=int, default=0, help="1: sched_setaffinity to the first --threads CPUs"
    )
    return p


def setup(args):
    """Thread counts, caches and CPU affinity, by environment."""
    n = str(args.threads)
    for k in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NPROC",
    ):
        os.environ[k] = n
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault(
        "TORCHINDUCTOR_CACHE_DIR", os.path.join(tempfile.gettempdir(), "peer_inductor")
    )
    if args.threads == 1:
        os.environ["XLA_FLAGS"] = (
            os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
        ).strip()
    os.environ.setdefault(
        "JAX_COMPILATION_CACHE_DIR", os.path.join(tempfile.gettempdir(), "peer_jaxcache")
    )
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "2")
    if args.pin:
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: args.threads]))


def torch_threads(args):
    import torch

    torch.set_num_threads(args.threads)
    try:
        torch.set_num_interop_threads(1)
    except RuntimeError:
        pass
    return torch


def measure(chunk, seconds, repeats=7, warm=1, n0=1, max_n=100000):
    """chunk(n) runs n steps (and blocks). Returns per-step times, one per chunk, + bookkeeping.

    n grows from n0 until about `repeats` chunks fill `seconds`; warm-up is not counted.
    """
    t0 = time.perf_counter()
    for _ in range(warm):
        chunk(n0)
    warm_s = time.perf_counter() - t0
    n = n0
    while True:
        t = time.perf_counter()
        chunk(n)
        dt = time.perf_counter() - t
        want = seconds / repeats
        if dt > 0.5 * want or n >= max_n:
            break
        n = int(min(max_n, max(n + 1, min(n * 8, n * want / max(dt, 1e-9)))))
    times, ctimes, cpu0, wall0 = [], [], time.process_time(), time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - wall0 < seconds):
        t = time.perf_counter()
        c = time.process_time()
        chunk(n)
        times.append((time.perf_counter() - t) / n)
        ctimes.append((time.process_time() - c) / n)
    wall, cpu = time.perf_counter() - wall0, time.process_time() - cpu0
    return dict(times=times, ctimes=ctimes, n=n, warm_s=warm_s, cpu_util=cpu / wall)


def rescale(m, S):
    """one chunk call did S steps"""
    m["times"] = [t / S for t in m["times"]]
    m["ctimes"] = [t / S for t in m["ctimes"]]
    m["n"] *= S


def q(xs, p):
    """Nearest-rank quantile."""
    xs = sorted(xs)
    return xs[min(len(xs) - 1, max(0, int(round(p * (len(xs) - 1)))))]


def emit(args, workload, impl, metric, m, work_per_step, unit, flop_per_step=None, **extra):
    """Print one result as a line of JSON; m is what measure() returned."""
    med = st.median(m["times"])
    r = dict(
        workload=workload,
        impl=impl,
        metric=metric,
        unit=unit,
        threads=args.threads,
        members=args.members,
        batch=args.batch,
        value=work_per_step / med,
        value_per_cpu_s=work_per_step / st.median(m["ctimes"]),
        best=work_per_step / min(m["times"]),
        p10=work_per_step / q(m["times"], 0.9),
        p90=work_per_step / q(m["times"], 0.1),
        step_ms=med * 1e3,
        steps_per_chunk=m["n"],
        chunks=len(m["times"]),
        warm_s=round(m["warm_s"], 3),
        cpu_util=round(m["cpu_util"], 3),
        load1=os.getloadavg()[0],
    )
    # value: wall clock (what a user sees; suffers when other jobs share the cores).
    # value_per_cpu_s: work / process CPU seconds (robust against time-slicing at --threads 1;
    #                  at --threads 2 multiply by 2 for the ideal, spin-waits count as CPU time).
    if flop_per_step:
        r["gflops_per_cpu_s"] = flop_per_step / st.median(m["ctimes"]) / 1e9
        r["gflops"] = flop_per_step / med / 1e9
    r.update(extra)
    r["versions"] = versions()
    print(json.dumps(r), flush=True)
    return r


def versions():
    """Versions of the libraries that this run has imported."""
    libraries = ("torch", "jax", "jaxlib", "optax", "numpy")
    used = {name: version(name) for name in libraries if name in sys.modules}
    return {"python": platform.python_version()} | used

"""NumPy in the sandbox beside NumPy natively, in turns and on one thread: the table of speeds in docs/numpy.md (two minutes).

Both run in this process: seconds are CPU time of a call that does the operation so many times, the best of some rounds, which
alternate. The sandbox is as it is for jobs: metered, NaNs canonical. Compiling the guest comes first (15 seconds of CPU).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported

from bench.inside import Guest

#: Run here and in the sandbox: `timed(name, times)` does an operation so many times.
SOURCE = """
import json
import numpy as np
draw = np.random.default_rng(1)
a, b, c = draw.random(1_000_000), draw.random(1_000_000), draw.random(1_000_000)
f, n, out = a.astype("f4"), draw.integers(0, 1 << 40, 1_000_000), np.empty(1_000_000)
mask, s, k = a > 0.5, a[:200_000].copy(), draw.integers(0, 1000, 1_000_000)
m, big, p = draw.random((256, 256)), draw.random((1000, 1000)), draw.random((100, 100))
sym, w, prime = p @ p.T, draw.random(65_536), draw.random(65_521)
OPERATIONS = {
    "sum of 1 M doubles": lambda: a.sum(),
    "sum of 1 M singles": lambda: f.sum(),
    "sum of 1 M integers": lambda: n.sum(),
    "a * b + c, 1 M": lambda: a * b + c,
    "a / b, 1 M": lambda: a / b,
    "sqrt, 1 M": lambda: np.sqrt(a),
    "maximum, 1 M": lambda: np.maximum(a, b),
    "a > 0.5, 1 M": lambda: a > 0.5,
    "a[mask], 1 M": lambda: a[mask],
    "where, 1 M": lambda: np.where(mask, a, b),
    "cumsum, 1 M": lambda: a.cumsum(),
    "std, 1 M": lambda: a.std(),
    "sort of 200,000 doubles": lambda: np.sort(s),
    "sort of 1 M integers": lambda: np.sort(n),
    "stable sort of 200,000 doubles": lambda: np.sort(s, kind="stable"),
    "argsort of 200,000 doubles": lambda: np.argsort(s),
    "unique of 1 M integers": lambda: np.unique(k),
    "exp, 200,000": lambda: np.exp(s),
    "log, 200,000": lambda: np.log(s),
    "sin, 200,000": lambda: np.sin(s),
    "dot of 1 M": lambda: a @ b,
    "matrix times vector, 1000": lambda: big @ a[:1000],
    "product of 256 x 256": lambda: m @ m,
    "solve 256": lambda: np.linalg.solve(m, m[0]),
    "inverse 100": lambda: np.linalg.inv(p),
    "svd 100": lambda: np.linalg.svd(p),
    "eigh 100": lambda: np.linalg.eigh(sym),
    "FFT of 65,536": lambda: np.fft.fft(w),
    "FFT of 65,521 (prime)": lambda: np.fft.fft(prime),
    "100,000 normal numbers": lambda: draw.standard_normal(100_000),
}
def timed(name, times):
    operation = OPERATIONS[name]
    for _ in range(times):
        operation()
def execute(chunk):
    name, times = json.loads(chunk)
    timed(name, times)
    return b""
"""


def seconds(timed: Callable[[str, int], None], name: str, times: int) -> float:
    """CPU time of one turn of an operation."""
    started = time.process_time()
    timed(name, times)
    return (time.process_time() - started) / times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="operations whose name has this in it")
    options = parser.parse_args()
    space: dict[str, Any] = {}
    exec(SOURCE, space)
    guest, native = Guest(SOURCE), space["timed"]

    def inside(name: str, times: int) -> None:
        guest.execute(json.dumps([name, times]).encode())

    print(f"load {os.getloadavg()[0]:.1f}\n{'':32}{'native ms':>10}{'sandbox ms':>12}{'native = 1':>12}")
    for name in space["OPERATIONS"]:
        if options.only not in name:
            continue
        times = max(1, int(0.02 / seconds(native, name, 1)))
        rounds = [(seconds(native, name, times), seconds(inside, name, max(1, times // 4))) for _ in range(options.rounds)]
        here, there = (min(each) for each in zip(*rounds, strict=True))
        print(f"{name:32}{here * 1e3:>10.3f}{there * 1e3:>12.3f}{here / there:>12.2f}", flush=True)


if __name__ == "__main__":
    main()

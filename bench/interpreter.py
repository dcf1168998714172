"""Plain Python in the sandbox beside a native Python, in turns: what the interpreter that we build is worth (a minute).

Ten programs (`programs.py`), none of which the guest's profile was trained with. Seconds are CPU time, the best of some rounds,
which alternate; results are compared. The native Python is this one, unless `--native` names another: a fair one is of the
guest's version, built with `./configure --enable-optimizations --with-lto`.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from pathlib import Path

from bench.inside import Guest
from bench.programs import PROGRAMS

_SOURCE = Path(__file__).with_name("programs.py").read_text(encoding="utf-8")
_INSIDE = f"{_SOURCE}\n\ndef execute(chunk):\n    return repr(globals()[chunk.decode()]()).encode()\n"
_NATIVE = """
import sys, time
for name in map(str.strip, sys.stdin):
    started = time.process_time()
    answer = repr(globals()[name]())
    print(time.process_time() - started, answer, flush=True)
"""


class Native:
    """Another Python, in a process of its own, that runs a program at a time."""

    def __init__(self, python: str) -> None:
        """Start it."""
        command = [python, "-c", _SOURCE + _NATIVE]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, name: str) -> tuple[float, str]:
        """Seconds of CPU, and the result."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(name, file=self.process.stdin, flush=True)
        seconds, _, answer = self.process.stdout.readline().rstrip("\n").partition(" ")
        return float(seconds), answer


def inside(guest: Guest, name: str) -> tuple[float, str]:
    """Seconds of CPU in the sandbox, and the result."""
    started = time.process_time()
    answer = guest.execute(name.encode())
    return time.process_time() - started, answer.decode()


def main() -> None:
    """Measure and print; exit 1 where results differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--native", default=sys.executable, help="the native Python (default: this one)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    native, guest = Native(options.native), Guest(_INSIDE)
    version = subprocess.run([options.native, "-VV"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"native: {version}; load {os.getloadavg()[0]:.1f}\n{'':16}{'native ms':>10}{'sandbox ms':>12}{'native = 1':>12}")
    ratios, differ = [], []
    for name in (program.__name__ for program in PROGRAMS):
        rounds = [(native.run(name), inside(guest, name)) for _ in range(options.rounds)]
        differ += [name] if len({answer for turn in rounds for _, answer in turn}) > 1 else []
        here, there = (min(seconds for seconds, _ in turns) for turns in zip(*rounds, strict=True))
        ratios.append(here / there)
        print(f"{name:16}{here * 1e3:>10.0f}{there * 1e3:>12.0f}{ratios[-1]:>12.2f}", flush=True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"{'geometric mean':16}{'':22}{mean:>12.2f}")
    native.process.communicate()
    sys.exit(f"results differ: {', '.join(differ)}" if differ else 0)


if __name__ == "__main__":
    main()

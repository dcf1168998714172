"""What a tree of nodes costs: against one node with as many worker processes, for tiny jobs, and on a single link (`link.py`).

Absolute figures are this machine's; the ratios are what counts, of runs that take turns. Prints a line for each figure.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.link import link

from pangea.compute import Client, Job

PANGEA = [sys.executable, "-m", "pangea.compute.cli.main"]
_START_SECONDS = 120.0
_HEAVY = {"estimated_flops": 1e13, "locality": "any"}


@Job.define(split_strategy="row_based")
def words() -> None:
    """The README's word count."""

    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split(b"\n")

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d" % len(chunk.split())

    @Job.merge(associative=True)
    def merge(results: list[bytes]) -> bytes:
        return b"%d" % sum(map(int, results))


@Job.define
def tiny() -> None:
    """As little as a job can be."""

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return chunk[::-1]


@contextlib.contextmanager
def devnet(folder: Path, *options: str) -> Iterator[str]:
    """A tree of nodes; its address."""
    with open(folder / "devnet.log", "ab") as log:
        process = subprocess.Popen([*PANGEA, "devnet", *options], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None, "a pipe"
        line = process.stdout.readline()
        assert line.startswith("PANGEA_NODE="), (folder / "devnet.log").read_text()[-2000:]
        yield line.strip().removeprefix("PANGEA_NODE=")
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def one_node(folder: Path, workers: int) -> Iterator[str]:
    """One node with as many worker processes; its address."""
    data = folder / "one"
    with open(folder / "one.log", "ab") as log:
        process = subprocess.Popen(
            [*PANGEA, "node", "start", "--data-dir", str(data), "--workers", str(workers)], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not (data / "rpc.sock").exists():
            assert time.monotonic() < deadline, (folder / "one.log").read_text()[-2000:]
            assert process.poll() is None, (folder / "one.log").read_text()[-2000:]
            time.sleep(0.05)
        yield str(data)
    finally:
        process.terminate()
        process.wait(60)


def text(folder: Path, megabytes: int) -> Path:
    """A file of words."""
    path = folder / "words.txt"
    line = b" ".join(b"word%d" % (number * 7919 % 5000) for number in range(10)) + b"\n"
    with open(path, "wb") as file:
        for _ in range(megabytes * 1_000_000 // (len(line) * 1000)):
            file.write(line * 1000)
    return path


def overhead(folder: Path, *, rounds: int, megabytes: int, nodes: int, depth: int) -> None:
    """The same unchecked job on a tree, and on one node with as many worker processes, in turns."""
    path = text(folder, megabytes)
    expected = b"%d" % len(path.read_bytes().split())
    with devnet(folder, "--nodes", str(nodes), "--depth", str(depth)) as tree, one_node(folder, nodes) as one:
        seconds: dict[str, list[float]] = {tree: [], one: []}
        with Client(tree) as of_tree, Client(one) as of_one:
            for number in range(rounds + 1):
                for address, client in ((tree, of_tree), (one, of_one)):
                    result = client.submit_job(words, path, verification_mode="none", timeout=600.0).result(600)
                    assert bytes(result) == expected, f"{bytes(result)!r} words, not {expected!r}"
                    if number:  # the first of each learns what the module costs
                        seconds[address].append(result.report.seconds)
    ratios = [a / b for a, b in zip(seconds[tree], seconds[one], strict=True)]
    print(
        f"{nodes} nodes, depth {depth}, {megabytes} MB of words, unchecked: {statistics.median(seconds[tree]):.1f} s;"
        f" one node with {nodes} worker processes: {statistics.median(seconds[one]):.1f} s;"
        f" ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, {rounds} pairs)"
    )


def latency(folder: Path, *, jobs: int) -> None:
    """Submit to result of a tiny job: on two nodes as the score decides, and where it is delegated and checked."""
    with devnet(folder, "--nodes", "2", "--depth", "1") as tree, Client(tree) as client:
        ways: dict[str, dict[str, Any]] = {
            "two nodes, tiny job, as the score decides": {},
            "… told to be heavy, so delegated, unchecked": {**_HEAVY, "verification_mode": "none"},
            "… delegated, and executed here, too, to check": _HEAVY,
        }
        for name, options in ways.items():
            times = []
            for number in range(jobs + 5):
                began = time.perf_counter()
                assert bytes(client.submit_job(tiny, b"abc", **options).result(60)) == b"cba"
                if number >= 5:
                    times.append(1000 * (time.perf_counter() - began))
            times.sort()
            print(f"{name}: {statistics.median(times):.1f} ms median, {times[int(len(times) * 0.95)]:.1f} ms at 95 %")


def main() -> None:
    """Measure."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("what", nargs="*", default=["link", "latency", "overhead"], help="link, latency, overhead [all]")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--megabytes", type=int, default=170, help="of text for overhead: a job of ten seconds or so")
    options.add_argument("--nodes", type=int, default=7)
    options.add_argument("--depth", type=int, default=2)
    options.add_argument("--jobs", type=int, default=60, help="tiny jobs for latency")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="pangea-bench-") as name:
        folder = Path(name)
        if "link" in given.what:
            link(rounds=3 * given.rounds)
        if "latency" in given.what:
            latency(folder, jobs=given.jobs)
        if "overhead" in given.what:
            overhead(folder, rounds=given.rounds, megabytes=given.megabytes, nodes=given.nodes, depth=given.depth)


if __name__ == "__main__":
    main()

"""What the examples on clusters share: a job, a killing on the way, and what a sandboxed task costs over a bare one."""

from __future__ import annotations

import hashlib
import os
import signal
import statistics
import time
from collections.abc import Callable
from typing import Any

from pangea.compute import Job, submit_job
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import prepare
from pangea.compute.engine.task import Task
from pangea.compute.model import frames
from pangea.compute.model.limits import Limits

DATA = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(12_000))
PAIRS = 200


@Job.define
def digests() -> None:
    """A chain of hashes over each chunk, then one over all: any byte that were wrong would show."""

    @Job.split
    def split(data: bytes) -> list[bytes]:
        return [data[start : start + 4096] for start in range(0, len(data), 4096)]

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        digest = chunk
        for _ in range(3_000):
            digest = hashlib.sha256(digest).digest()
        return digest

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return hashlib.sha256(b"".join(results)).hexdigest().encode()


def run_and_kill(engine: Any, worker_pids: Callable[[], list[int]]) -> None:
    """Run the job, and kill a worker process of the cluster once it is under way."""
    killed: list[int] = []

    def on_progress(progress: Any) -> None:
        if not killed and progress.chunks and (found := worker_pids()):
            killed.append(found[0])
            os.kill(found[0], signal.SIGKILL)

    started = time.perf_counter()
    result = submit_job(digests, DATA, engine=engine, on_progress=on_progress, min_chunk_size=1024)
    expected = digests.run_local(DATA)
    assert result == expected, f"{result!r} is not {expected!r}"
    assert killed, "the job was over before a worker could be killed"
    print(f"exact: {result.decode()[:16]}… after {time.perf_counter() - started:.1f} s; worker {killed} was killed on the way")
    print(result.report)


def paired_cost(engine: Engine, bare: Callable[[bytes], bytes]) -> None:
    """Print what one task costs in the sandbox and bare, one after the other in turn, so that both meet the same machine."""
    job = Job.from_functions(execute=lambda chunk: chunk[::-1], name="reverse")
    guest = prepare(job.archive(), Limits(), engine, lambda _what: None, name="reverse", associative=False).guest
    chunk = os.urandom(1000)
    seconds: tuple[list[float], list[float]] = ([], [])
    task = Task(guest, "execute", 1, [frames.pack([chunk])])
    for pair in range(-10, PAIRS):  # the first ones warm both
        began = time.perf_counter()
        outcome: Any = engine.submit(task).result(60)
        between = time.perf_counter()
        assert bare(chunk) == chunk[::-1] == bytes(next(frames.unpack(outcome.results)))
        if pair >= 0:
            seconds[0].append(between - began)
            seconds[1].append(time.perf_counter() - between)
    sandboxed, plain = map(statistics.median, seconds)
    more = statistics.median(one - other for one, other in zip(*seconds, strict=True))
    quick, quick_plain = (statistics.quantiles(each, n=10)[0] for each in seconds)  # when nobody else wants the machine
    print(
        f"one task of 1,000 bytes, median of {PAIRS} pairs: sandboxed {sandboxed * 1e3:.2f} ms, bare {plain * 1e3:.2f} ms,"
        f" the sandbox adds {more * 1e3:.2f} ms; of the quickest tenth of each {(quick - quick_plain) * 1e3:.2f} ms"
    )

"""A long, hard day of a node in ten minutes (`make soak`): kills, a disk that fills up, a clock that jumps by days and years,
children that take work and never answer, clients that stall or vanish, under load.

At the end every accepted job has its exact result, and nothing is left: processes, descriptors, shared memory, disk.
As root the node lives on a small file system of its own, so that its disk can really be full; else that is left out, and said so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import mmap
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pangea.compute import Client, Job, PangeaError
from pangea.compute.errors import JobFailedError, QuotaError
from pangea.compute.network.rpc import rpc
from pangea.compute.orchestrator.core.messages import Beat
from tests.attackers import Attacker
from tests.deadlines import until
from tests.ports import Port
from tests.trees import TreeNode

_DISK = "192m"
_CLIENTS = 6
_JOB_SECONDS = 300.0
_RSS_GROWTH_MAX = 64 << 20
_HOARDERS = 3
_HOARD_SECONDS = 20.0
_DAY = 86_400.0
#: By how much the node's clock is off, now and then.
_JUMPS = (0.0, 400 * _DAY, -400 * _DAY, 3 * _DAY, -3 * _DAY)
#: Imported by the node's interpreter before all else: its wall clock is off by what the first eight bytes of a file say.
_CLOCK = """
import mmap, os, struct, time
with open(os.environ["SOAK_CLOCK"], "r+b") as file:
    _off = mmap.mmap(file.fileno(), 8)
_now = time.time
time.time = lambda: _now() + struct.unpack("d", _off[:8])[0]
"""


@Job.define(split_strategy="fixed_size", min_chunk_size=1 << 10, max_chunk_size=1 << 16)
def digest() -> None:
    """Some work on every byte; results too large for a row of the journal now and then."""

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d %d;" % (len(chunk), sum(chunk)) + chunk[:64] * (len(chunk) % 50)

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return b"".join(results)


@Job.define(split_strategy="fixed_size", min_chunk_size=1 << 10, max_chunk_size=1 << 12, estimated_flops=1e13)
def shared() -> None:
    """The same, thought to be so heavy that others get a share of it."""

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d %d;" % (len(chunk), sum(chunk))

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return b"".join(results)


class Clock:
    """The wall clock of the node's process, which this one may set."""

    def __init__(self, folder: Path) -> None:
        """Right at first; whatever Python is started from now on looks at it."""
        place = folder / "clock"
        place.mkdir()
        (place / "sitecustomize.py").write_text(_CLOCK)
        file = place / "off"
        file.write_bytes(bytes(8))
        with open(file, "r+b") as opened:
            self._off = mmap.mmap(opened.fileno(), 8)
        os.environ |= {"SOAK_CLOCK": str(file), "PYTHONPATH": str(place)}

    def set(self, off: float) -> None:
        """Be off by so many seconds."""
        self._off[:8] = struct.pack("d", off)


class Soak:
    """One run."""

    def __init__(self, folder: Path, seconds: float, seed: int) -> None:
        self.seconds = seconds
        self.draw = random.Random(seed)
        self.folder = folder
        self.data_dir = folder / "node"
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.ends = time.monotonic() + seconds
        self.is_over = threading.Event()
        self.clock = Clock(folder)

    def client(self, number: int) -> None:
        """Submit, wait, compare, until the end."""
        draw = random.Random(number)
        with Client(str(self.data_dir), reconnect_timeout=_JOB_SECONDS) as client:
            while not self.is_over.is_set():
                job = draw.choice([digest, digest, shared])
                sizes = [100, 10_000, 3_000_000] if job is digest else [20_000]
                data = draw.randbytes(draw.randrange(1, draw.choice(sizes)))
                try:
                    handle = client.submit_job(job, data)
                except PangeaError as error:
                    self.counts[f"refused: {error.code}"] += 1
                    self.is_over.wait(0.5)
                    continue
                if draw.random() < 0.1:
                    handle.cancel()
                    self.counts["cancelled"] += 1
                    continue
                try:
                    result = handle.result(_JOB_SECONDS)
                except (QuotaError, JobFailedError) as error:  # a full disk may end a job that was under way, if it says so
                    if "disk is full" not in error.message and not isinstance(error, QuotaError):
                        self.wrong.append(f"a job failed: {error.code}: {error.message}")
                    self.counts[f"ended by a full disk: {error.code}"] += 1
                    continue
                except PangeaError as error:
                    self.wrong.append(f"a job was lost: {error.code}: {error.message}")
                    continue
                self.counts["exact" if bytes(result) == job.run_local(data) else "wrong"] += 1

    def stranger(self) -> None:
        """Connect, send half a message, stall, vanish."""
        while not self.is_over.is_set():
            ends = []
            for _ in range(5):
                with contextlib.suppress(OSError):
                    end = socket.socket(socket.AF_UNIX)
                    ends.append(end)
                    end.settimeout(1.0)
                    end.connect(str(self.data_dir / "rpc.sock"))
                    end.send(b"\0\0\0\0\xff\0\0\0" + b"x" * 10)
                    self.counts["strangers"] += 1
            self.is_over.wait(1.0)
            for end in ends:
                end.close()

    def hoarder(self, where: str) -> None:
        """Attach under one key after the other, claim many cores, take work, say that all is well, and never answer."""

        async def hoard() -> None:
            until_when = time.monotonic() + _HOARD_SECONDS
            child = await Attacker().join(where, cores=64)
            while not self.is_over.is_set() and time.monotonic() < until_when and not child.is_lost:
                await child.tells(Beat(cores=64, window=192, nodes=1, height=0))
                await asyncio.to_thread(self.is_over.wait, 1.0)
            self.counts["hoarded tasks"] += len(child.asked)
            child.leave()

        async def one_after_the_other() -> None:
            async with rpc.event_loop():
                while not self.is_over.is_set():
                    with contextlib.suppress(PangeaError, OSError):
                        await hoard()
                        self.counts["hoarders"] += 1
                    await asyncio.to_thread(self.is_over.wait, 0.5)

        asyncio.run(one_after_the_other())

    def killer(self, node: TreeNode) -> None:
        """Kill and start again; fill the disk and make room again; set the clock, also while the node is down."""
        while time.monotonic() < self.ends:
            self.is_over.wait(self.draw.uniform(2.0, 15.0))
            if self.draw.random() < 0.3 and os.path.ismount(self.folder):
                self.fill_disk()
            self.jump()
            self.is_over.wait(self.draw.uniform(0.0, 2.0))
            node.kill()
            self.jump()
            self.counts["kills"] += 1
            node.start()
            if not node.is_alive:
                self.wrong.append(f"the node didn't start again:\n{node.log()[-2000:]}")
                node.start()

    def jump(self) -> None:
        if self.draw.random() < 0.4:
            self.clock.set(self.draw.choice(_JUMPS))
            self.counts["clock jumps"] += 1

    def fill_disk(self) -> None:
        ballast = self.folder / "ballast"
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        self.counts["full disks"] += 1
        self.is_over.wait(self.draw.uniform(1.0, 5.0))
        ballast.unlink()

    def run(self) -> int:
        """All of it; the number of things that are wrong."""
        options = ("--kept-jobs-max", "100", "--idle-seconds", "5", "--admit", "open")
        with Port() as port, TreeNode(self.data_dir, *options, "--listen", f"127.0.0.1:{port.number}") as node:
            threads = [threading.Thread(target=self.client, args=(number,)) for number in range(_CLIENTS)]
            threads.append(threading.Thread(target=self.stranger))
            threads += [threading.Thread(target=self.hoarder, args=(node.multiaddr,)) for _ in range(_HOARDERS)]
            for thread in threads:
                thread.start()
            try:
                self.killer(node)
            finally:
                self.is_over.set()  # whatever happened: nobody may wait for more
            for thread in threads:
                thread.join(_JOB_SECONDS + 60)
                if thread.is_alive():
                    self.wrong.append(f"{thread.name} still waits")
            self.settle(node)
        self.look_behind()
        return self.report()

    def settle(self, node: TreeNode) -> None:
        """A node at rest has given back what it took."""
        with Client(str(self.data_dir)) as client:
            with contextlib.suppress(AssertionError):
                until(lambda: not client.info().jobs.get("running", 0), seconds=120)
            info = client.info()
        self.counts["stored bytes"] = info.stored_bytes
        pid = node.process.pid
        self.counts["descriptors"] = len(os.listdir(f"/proc/{pid}/fd"))
        status = Path(f"/proc/{pid}/status").read_text()
        rss = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) << 10
        self.counts["rss"] = rss
        if info.jobs.get("running", 0):
            self.wrong.append(f"jobs still run: {info.jobs}")
        if self.counts["descriptors"] > 100:
            self.wrong.append(f"{self.counts['descriptors']} descriptors are open")
        if rss > (200 << 20) + _RSS_GROWTH_MAX:
            self.wrong.append(f"the node holds {rss >> 20} MiB")

    def look_behind(self) -> None:
        """After the end: no process, no shared memory, no temporary file."""
        left = subprocess.run(["pgrep", "-f", str(self.data_dir)], capture_output=True, text=True, check=False).stdout.split()
        if left:
            self.wrong.append(f"processes are left: {left}")
        strays = [path for path in (self.data_dir / "blobs").rglob("*") if path.is_file() and len(path.name) != 64]
        if strays:
            self.wrong.append(f"files are left: {strays[:5]}")

    def report(self) -> int:
        for name, count in sorted(self.counts.items()):
            print(f"{name}: {count:,}")
        if self.counts["wrong"]:
            self.wrong.append(f"{self.counts['wrong']} wrong results")
        if not self.counts["exact"]:
            self.wrong.append("no job was completed: nothing was shown")
        for text in self.wrong:
            print(f"WRONG: {text}")
        print("nothing lost, nothing leaked" if not self.wrong else "FAILED")
        return len(self.wrong)


@contextlib.contextmanager
def small_disk() -> Iterator[Path]:
    """A folder on a file system of its own, if we may have one."""
    folder = Path(tempfile.mkdtemp(prefix="pangea-soak-"))
    mounted = (
        os.getuid() == 0
        and not subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder)], check=False).returncode
    )
    if not mounted:
        print("no file system of its own can be mounted here: the full disk is left out")
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run for `--minutes`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long [default: 10]")
    parser.add_argument("--seed", type=int, default=1, help="of kills and faults [default: 1]")
    given = parser.parse_args()
    TreeNode.is_forked = False  # what is left of one is found by its command line
    with small_disk() as folder:
        sys.exit(min(1, Soak(folder, given.minutes * 60, given.seed).run()))


if __name__ == "__main__":
    main()

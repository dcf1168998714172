"""The systems that `compare.py` compares: each is started once, and then given every workload in turn."""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench.alone import WORKERS
from bench.workloads import Execute, Workload, do_nothing

from pangea.compute import Job, submit_job
from pangea.compute.engine.engines import embedded


class Pangea:
    """This engine, embedded."""

    name = "pangea"
    how = "submit_job, embedded engine"

    def __init__(self) -> None:
        os.environ.setdefault("PANGEA_WORKERS", str(WORKERS))
        submit_job(Job.from_functions(do_nothing), b"")

    def run(self, work: Workload) -> bytes:
        """Do all of `work`."""
        return submit_job(work.job(), work.data, **work.options)

    def close(self) -> None:
        """Stop it."""
        embedded.close()


class Node:
    """This engine through a node: a process of its own, spoken to over its unix socket, every job on disk before it begins."""

    name = "node"
    how = "submit_job(node=...) over a unix socket, the input sent anew each time"

    def __init__(self) -> None:
        from pangea.compute import Client

        self._folder = tempfile.TemporaryDirectory()
        self._address = str(Path(self._folder.name) / "data")
        command = [str(Path(sys.executable).with_name("pangea")), "node", "start", "--data-dir", self._address]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not (Path(self._address) / "rpc.sock").exists():
            if time.monotonic() > until or self._process.poll() is not None:
                raise ImportError("the node didn't start")
            time.sleep(0.05)
        with Client(self._address) as client:
            client.submit_job(Job.from_functions(do_nothing), b"").result(60)

    def run(self, work: Workload) -> bytes:
        """Do all of `work`."""
        return submit_job(work.job(), work.data, node=self._address, **work.options)

    def forget(self) -> None:
        """Have the node without the input: what it keeps for a rerun would be a start that the others haven't."""
        for path in (Path(self._address) / "blobs").glob("??/*"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(30)
        self._folder.cleanup()


class Pool:
    """The standard library's process pool."""

    name = "Pool"
    how = "multiprocessing.Pool: map, or imap one by one for large chunks"

    def __init__(self) -> None:
        self._pool = multiprocessing.Pool(WORKERS)
        self._pool.map(do_nothing, [b""] * WORKERS, chunksize=1)

    def run(self, work: Workload) -> bytes:
        """Do all of `work`."""
        if work.has_large_chunks:
            return work.merge(list(self._pool.imap(work.execute, work.chunks)))
        return work.merge(self._pool.map(work.execute, work.chunks))

    def close(self) -> None:
        """Stop it."""
        self._pool.terminate()
        self._pool.join()


class Dask:
    """dask.distributed on this machine."""

    name = "Dask"
    how = "distributed.LocalCluster of processes: Client.map, a task for each chunk; large chunks are scattered first"

    def __init__(self) -> None:
        distributed: Any = importlib.import_module("distributed")
        logging.getLogger("distributed").setLevel(logging.ERROR)
        self._folder = tempfile.TemporaryDirectory()
        self._cluster = distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=self._folder.name
        )
        self._client = distributed.Client(self._cluster)
        self._client.gather(self._client.map(do_nothing, [b""] * WORKERS, pure=False))

    def run(self, work: Workload) -> bytes:
        """Do all of `work`."""
        chunks = self._client.scatter(work.chunks, hash=False, direct=True) if work.has_large_chunks else work.chunks
        return work.merge(self._client.gather(self._client.map(work.execute, chunks, pure=False)))

    def run_batched(self, work: Workload) -> bytes:
        """Do all of `work` in few tasks."""
        done = self._client.gather(self._client.map(partial(each, work.execute), batches(work.chunks), pure=False))
        return work.merge([result for results in done for result in results])

    def close(self) -> None:
        """Stop it."""
        self._client.close()
        self._cluster.close()
        self._folder.cleanup()


class Ray:
    """Ray on this machine."""

    name = "Ray"
    how = "one remote task for each chunk, the chunk as its argument"

    def __init__(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._ray: Any = importlib.import_module("ray")
        self._ray.init("local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        self._remote: dict[Execute, Any] = {}
        self._each = self._ray.remote(each)
        task = self._task(do_nothing)
        self._ray.get([task.remote(b"") for _ in range(WORKERS)])

    def _task(self, function: Execute) -> Any:
        return self._remote.setdefault(function, self._ray.remote(function))

    def run(self, work: Workload) -> bytes:
        """Do all of `work`."""
        task = self._task(work.execute)
        return work.merge(self._ray.get([task.remote(chunk) for chunk in work.chunks]))

    def run_batched(self, work: Workload) -> bytes:
        """Do all of `work` in few tasks."""
        done = self._ray.get([self._each.remote(work.execute, batch) for batch in batches(work.chunks)])
        return work.merge([result for results in done for result in results])

    def close(self) -> None:
        """Stop it."""
        self._ray.shutdown()


System = Pool | Pangea | Node | Dask | Ray
#: In this order they are started and take turns. Pool forks, so it comes while this process is small and has no threads.
SYSTEMS: dict[str, type[System]] = {"pool": Pool, "pangea": Pangea, "node": Node, "dask": Dask, "ray": Ray}


def each(function: Execute, chunks: list[bytes]) -> list[bytes]:
    """What users of Dask and Ray write to put many chunks into one task."""
    return [function(chunk) for chunk in chunks]


def batches(chunks: list[bytes]) -> list[list[bytes]]:
    """Four for each worker."""
    size = -(-len(chunks) // (4 * WORKERS))
    return [chunks[start : start + size] for start in range(0, len(chunks), size)]

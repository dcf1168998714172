"""A job on a Ray cluster: exact, although a worker is killed on the way; and what the sandbox costs there.

    pip install 'pangea-compute[ray]'
    python examples/clusters/ray_local.py

A Ray of this machine stands for any: `engine="ray://head:10001"` takes one that is elsewhere, such as KubeRay's.
"""

from pathlib import Path

import ray
from counting import paired_cost, run_and_kill

from pangea.compute.engine.engines.ray import RayEngine


def workers_at_work() -> list[int]:
    """Process ids of Ray's workers that run a task of ours: Ray names a process by its task."""
    found = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if b"ray::pangea-" in _read(path)]
    return [int(path.name) for path in found]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile
        return b""


@ray.remote
def reverse(chunk: bytes) -> bytes:
    """The bare task."""
    return chunk[::-1]


if __name__ == "__main__":
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
    run_and_kill("ray", workers_at_work)
    engine = RayEngine()
    paired_cost(engine, lambda chunk: ray.get(reverse.remote(chunk)))
    engine.close()
    ray.shutdown()

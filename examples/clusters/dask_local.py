"""A job on a Dask cluster: exact, although a worker is killed on the way; and what the sandbox costs there.

    pip install 'pangea-compute[dask]'
    python examples/clusters/dask_local.py

`LocalCluster` stands for any: dask-jobqueue's SLURMCluster and dask-kubernetes' KubeCluster have the same interface.
"""

import os

from counting import paired_cost, run_and_kill
from distributed import Client, LocalCluster

from pangea.compute.engine.engines.dask import DaskEngine


def reverse(chunk: bytes) -> bytes:
    """The bare task."""
    return chunk[::-1]


if __name__ == "__main__":
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        run_and_kill(client, lambda: [*client.run(os.getpid).values()])
        client.wait_for_workers(2)
        engine = DaskEngine(client)
        paired_cost(engine, lambda chunk: client.submit(reverse, chunk, pure=False).result())
        engine.close()

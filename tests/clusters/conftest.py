"""A Dask cluster with processes, a Ray on this machine, and an engine on each."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pangea.compute import runtime
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.engine.engines.remote import RemoteEngine
from pangea.compute.model.limits import Limits
from tests.examples import long

WORKERS = 2


@dataclass(frozen=True)
class Case:
    """An engine under the contract.

    Attributes:
        name: local, dask or ray.
        engine: made for this test.
        victims: process ids, one of which dies to try what follows.
    """

    name: str
    engine: Engine
    victims: Callable[[], list[int]]

    def kill_one(self) -> None:
        """End a worker process of theirs, or of ours, on the spot."""
        os.kill(self.victims()[0], signal.SIGKILL)


def the_package(package: str) -> Any:
    """`package`; where it isn't installed the test is skipped, and the remedy named."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} isn't installed: pip install 'pangea-compute[{'dask' if package == 'distributed' else package}]'")
    return importlib.import_module(package)


@pytest.fixture(scope="session")
def dask_client(cache_folder: Path) -> Iterator[Any]:
    """A client of a Dask cluster of two worker processes."""
    distributed = the_package("distributed")
    with (
        distributed.LocalCluster(n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def ray_cluster(cache_folder: Path) -> Iterator[None]:
    """A Ray of two CPUs that this process is connected to."""
    ray = the_package("ray")
    before = os.environ.get("RAY_AUTH_MODE")
    os.environ["RAY_AUTH_MODE"] = "disabled"  # nobody but this process knows of it
    ray.init("local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
    yield
    ray.shutdown()
    if before is None:
        del os.environ["RAY_AUTH_MODE"]
    else:
        os.environ["RAY_AUTH_MODE"] = before


def _seen(engine: RemoteEngine) -> list[int]:
    """Their worker processes that have answered and still run, the last first."""
    pids = [int(name.rpartition(":")[2]) for name in reversed(engine._numbers)]
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.fixture(params=["dask", *long("local", "ray")])  # of this machine's engine, integration's tests say more by default
def case(request: pytest.FixtureRequest, cache_folder: Path) -> Iterator[Case]:
    """Each engine in turn, with the Python guest ready."""
    name = request.param
    if name == "local":
        local = LocalEngine(workers=WORKERS, cache_folder=cache_folder)
        found = Case(name, local, local.pids)
    elif name == "dask":
        client = request.getfixturevalue("dask_client")
        from pangea.compute.engine.engines.dask import DaskEngine

        dask = DaskEngine(client)
        found = Case(name, dask, lambda: _seen(dask))
    else:
        request.getfixturevalue("ray_cluster")
        from pangea.compute.engine.engines.ray import RayEngine

        ray = RayEngine()
        found = Case(name, ray, lambda: _seen(ray))
    with closing(found.engine):
        found.engine.prepare(runtime.sha256(), Limits(), runtime.load, lambda: None)
        yield found

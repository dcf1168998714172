"""Jobs on somebody's own cluster, as users start them; and what follows when the cluster changes or goes under them."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pangea.compute import Job, PangeaExecutor, runtime, submit_job
from pangea.compute import map as map_in_sandboxes
from pangea.compute.engine.engines import connecting, hosted
from pangea.compute.engine.engines.remote import RemoteEngine
from pangea.compute.model.errors import ManifestError, UnavailableError
from pangea.compute.model.limits import Limits
from tests.clusters.conftest import WORKERS, the_package
from tests.deadlines import until
from tests.ports import Port
from tests.runs import python_guest, python_job, run_of, task_of

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]

count_bytes = Job.from_functions(
    split=lambda data: [data[i : i + 1000] for i in range(0, len(data), 1000)],
    execute=lambda chunk: b"%d " % len(chunk),
    merge=lambda results: b"%d" % sum(int(each) for each in results),
    name="count_bytes",
)


_UPPER = """
from pangea.compute import Job

job = Job.from_functions(split=lambda data: [data[:50], data[50:]], execute=lambda chunk: chunk.upper(), name="upper")
"""


@contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Dask's command line, killed in the end."""
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def a_ray(environment: dict[str, str]) -> Iterator[int]:
    """The port at which clients reach a Ray that was started by hand, and that no other Ray of this machine finds."""
    with Port() as head, Port() as clients, TemporaryDirectory(prefix="ray") as folder:  # short: sockets are made in it
        ports = ["--temp-dir", folder, "--port", str(head.number), "--ray-client-server-port", str(clients.number)]
        start = [
            f"{Path(sys.executable).parent}/ray",
            "start",
            "--head",
            "--block",
            "--num-cpus",
            "2",
            "--include-dashboard=false",
        ]
        process = subprocess.Popen(
            [*start, "--disable-usage-stats", "--min-worker-port", "0", "--max-worker-port", "0", *ports],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            until(lambda: _listens(clients.number), seconds=120)
            yield clients.number
        finally:
            process.terminate()  # it ends its own
            process.wait(60)


def _listens(port: int) -> bool:
    with closing(socket.socket()) as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def apart() -> Iterator[None]:
    """Connections that this test makes end with it."""
    yield
    connecting.close()


@pytest.mark.usefixtures("apart")
class TestSubmitting:
    def test_a_client_a_cluster_and_an_address_name_the_same(self, dask_client: Any) -> None:
        data = bytes(25_500)
        for engine in (dask_client, dask_client.cluster, dask_client.scheduler.address.replace("tcp", "dask", 1)):
            result = submit_job(count_bytes, data, engine=engine)
            assert result == b"25500"
            assert f"{WORKERS} worker processes on the Dask cluster at tcp://" in result.report.where
        assert connecting.engine_of(dask_client) == (connecting.engine_of(dask_client)[0], False), "it is connected to once"

    def test_values_go_to_dask_and_come_back(self, dask_client: Any) -> None:
        assert list(map_in_sandboxes(lambda x: {x: (x, 1.5)}, range(5), engine=dask_client)) == [{x: (x, 1.5)} for x in range(5)]
        with PangeaExecutor(engine=dask_client) as executor:
            assert executor.submit(divmod, 17, 5).result(60) == (3, 2)

    @pytest.mark.long
    def test_values_go_to_ray_and_come_back(self, ray_cluster: None) -> None:
        assert list(map_in_sandboxes(lambda x: [x, None], "ab", engine="ray")) == [["a", None], ["b", None]]

    @pytest.mark.long
    def test_a_ray_that_wants_a_token_is_reached_from_outside_and_a_token_that_is_not_shown_is_hinted_at(
        self, tmp_path: Path
    ) -> None:
        the_package("ray")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}  # not what Ray sets
        shown = {**clean, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
        (tmp_path / "data").write_bytes(b"word " * 100)
        (tmp_path / "job.py").write_text(_UPPER)
        with a_ray(shown) as port:
            run = [sys.executable, "-m", "pangea.compute.cli.main", "run", "job.py", "--input", "data"]
            run += ["--engine", f"ray://127.0.0.1:{port}"]
            given = subprocess.run(run, cwd=tmp_path, env=shown, capture_output=True, timeout=200, check=False)
            assert given.stdout == b"WORD " * 100, given.stderr
            assert b"worker processes on the Ray cluster at ray://127.0.0.1" in given.stderr
            hidden = {**shown, "RAY_AUTH_MODE": "disabled"}
            given = subprocess.run(run, cwd=tmp_path, env=hidden, capture_output=True, timeout=200, check=False)
        assert given.returncode != 0
        assert b"set RAY_AUTH_MODE=token" in given.stderr

    def test_tasks_go_where_the_options_that_dask_was_given_say(self, dask_client: Any) -> None:
        from pangea.compute.engine.engines.dask import DaskEngine

        for address, pid in dask_client.run(os.getpid).items():
            with closing(DaskEngine(dask_client, workers=[address], allow_other_workers=False)) as engine:
                assert submit_job(count_bytes, bytes(20_000), engine=engine) == b"20000"
                assert {int(name.rpartition(":")[2]) for name in engine._numbers} == {pid}

    def test_all_may_be_executed_again_there(self, dask_client: Any) -> None:
        result = submit_job(count_bytes, bytes(5_000), engine=dask_client, verify=True)
        assert "computed by the Dask cluster" in result.report.verification
        assert "all equal, byte for byte" in result.report.verification

    @pytest.mark.parametrize(("padding", "times"), [(random.Random(1).randbytes(40_000), 1), (b"", 0)], ids=["large", "small"])
    def test_a_large_job_travels_once_and_a_small_one_with_its_tasks(self, dask_client: Any, padding: bytes, times: int) -> None:
        engine, _ = connecting.engine_of(dask_client)
        assert isinstance(engine, RemoteEngine)
        kept: list[int] = []
        keep = engine._keep

        def counted(content: bytes) -> Any:
            kept.append(len(content))
            return keep(content)

        engine._keep = counted  # type: ignore[method-assign]
        job = Job.from_functions(split=count_bytes.split, execute=lambda chunk: chunk[: len(padding)], name="padded")
        result = submit_job(job, bytes(40_000), engine=dask_client, max_chunk_size=1000, min_chunk_size=1)
        assert len(result) == (40_000 if padding else 0)
        assert result.report.tasks > 3
        assert len(kept) == times

    @pytest.mark.parametrize("wrong", ["dusk://host:1", "dask:", 7, "tcp://host:1"])
    def test_what_names_no_engine_is_an_error_that_says_what_does(self, wrong: Any) -> None:
        with pytest.raises(ManifestError, match="it names no engine") as caught:
            submit_job(count_bytes, b"x", engine=wrong)
        assert "dask://host:8786" in caught.value.hint

    def test_a_node_and_an_engine_exclude_each_other(self) -> None:
        with pytest.raises(ManifestError, match="both a node and an engine"):
            submit_job(count_bytes, b"x", engine="local", node="unix:/nowhere")

    def test_nobody_there_is_an_error_that_says_where(self) -> None:
        the_package("distributed")
        with (
            Port() as port,
            pytest.raises(UnavailableError, match=f"there is no Dask scheduler at tcp://127.0.0.1:{port.number}"),
        ):
            submit_job(count_bytes, b"x", engine=f"dask://127.0.0.1:{port.number}")

    def test_a_worker_with_other_software_is_an_error_that_names_both(
        self, dask_client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hosted, "software", lambda: "pangea-compute 99.0")
        with pytest.raises(UnavailableError, match=r"has pangea-compute .*; this side has pangea-compute 99\.0"):
            submit_job(count_bytes, b"x", engine=dask_client)


@pytest.mark.usefixtures("apart")
class TestChanges:
    @pytest.mark.long
    def test_the_scheduler_dies_and_the_job_says_so_while_workers_come_and_go(self, cache_folder: Path) -> None:
        the_package("distributed")
        kept = Port()
        address = f"tcp://127.0.0.1:{kept.number}"
        with (
            kept,
            started(
                "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(kept.number), "--dashboard-address", ":0"
            ) as scheduler,
            started("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"),
        ):
            engine, _ = until(lambda: _found(address), seconds=150)
            assert isinstance(engine, RemoteEngine)
            until(lambda: engine._count == 1, seconds=90)
            engine.prepare(runtime.sha256(), Limits(), runtime.load, lambda: None)
            with started("distributed.cli.dask_worker", address, "--nthreads", "2", "--no-dashboard"):
                until(lambda: engine.workers == 3, seconds=90)
                run = run_of(engine, python_job("def execute(c):\n for _ in range(10**6): pass\n return c"), [b"x"] * 12)
                assert run.result() == b"x" * 12
            until(lambda: engine._count == 1, seconds=150)
            endless = engine.submit(task_of(python_guest("def execute(c):\n while True: pass", fuel=10**15, time=60), b"x"))
            scheduler.send_signal(signal.SIGKILL)
            with pytest.raises(UnavailableError, match=r"the Dask cluster at .* is gone"):
                endless.result(120)
            with pytest.raises(UnavailableError, match="is gone"):
                engine.submit(task_of(python_guest("def execute(c): return c"), b"x"))

    def test_a_cluster_without_workers_ends_a_job_whose_patience_is_over(self, cache_folder: Path) -> None:
        distributed = the_package("distributed")
        from pangea.compute.engine.engines.dask import DaskEngine

        with (
            distributed.LocalCluster(n_workers=0, processes=True, dashboard_address=":0") as cluster,
            distributed.Client(cluster) as client,
            closing(DaskEngine(client, patience=1)) as engine,
            pytest.raises(UnavailableError, match="has had no worker for 1 s"),
        ):
            submit_job(count_bytes, b"x", engine=engine)

    @pytest.mark.long
    def test_nothing_jailed_outlives_the_cluster(self, cache_folder: Path) -> None:
        distributed = the_package("distributed")
        with (
            distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
            distributed.Client(cluster) as client,
        ):
            assert submit_job(count_bytes, bytes(3000), engine=client) == b"3000"
            engine, _ = connecting.engine_of(client)
            assert isinstance(engine, RemoteEngine)
            [worker] = {int(name.rpartition(":")[2]) for name in engine._numbers}
            jailed = [pid for pid in _descendants(worker) if b"pangea" in Path(f"/proc/{pid}/cmdline").read_bytes()]
            assert jailed
        until(lambda: not [pid for pid in (worker, *jailed) if Path(f"/proc/{pid}").exists()], seconds=90)


def _found(address: str) -> Any:
    try:
        return connecting.engine_of(address.replace("tcp", "dask", 1))
    except UnavailableError:
        return None


def _descendants(pid: int) -> list[int]:
    from tests.deadlines import children_of

    return [found for child in children_of(pid) for found in (child, *_descendants(child))]


def test_threads_of_one_process_may_share_a_cluster(dask_client: Any) -> None:
    results: list[bytes] = []

    def work(size: int) -> None:
        results.append(submit_job(count_bytes, bytes(size), engine=dask_client))

    threads = [threading.Thread(target=work, args=(1000 * number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [b"1000", b"2000", b"3000", b"4000"]
    connecting.close()


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "package"), [("dask_local", "distributed"), pytest.param("ray_local", "ray", marks=pytest.mark.long)]
)
def test_the_example_is_exact_with_a_worker_killed_and_prints_the_cost(name: str, package: str) -> None:
    the_package(package)
    file = Path(__file__).parents[2] / "examples" / "clusters" / f"{name}.py"
    environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "exact: " in done.stdout
    assert "was killed on the way" in done.stdout
    assert "the sandbox adds" in done.stdout

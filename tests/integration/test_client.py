"""Clients of a real node: what a user of `concurrent.futures`, asyncio and Dask expects of a handle."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import os
import pickle
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue

import pytest

from pangea.compute import AsyncClient, Client, Job, JobFailedError, PangeaExecutor, asubmit_job, submit_job
from pangea.compute.errors import (
    ConfigError,
    InputError,
    JobCancelledError,
    LimitExceededError,
    ManifestError,
    NotDoneError,
    QuotaError,
    UnavailableError,
    UnknownJobError,
)
from pangea.compute.jobs import JobManifest, JobState, JobStatus, Progress
from pangea.compute.model.errors import PeerError
from pangea.compute.model.keywords import JobKeywords
from pangea.compute.model.manifest import Content
from pangea.compute.network.identity import Identity, is_signed_by
from pangea.compute.network.rpc.service import BLOCK_BYTES
from pangea.compute.verification import receipt_check, receipt_file
from tests.deadlines import until
from tests.guests import module
from tests.leaks import open_descriptors, settled_descriptors
from tests.nodes import NodeProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
WAIT = 60


@Job.define
def shout() -> None:
    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split(b",")

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        if chunk == b"fail":
            raise ValueError("told to")
        while chunk == b"hang":
            pass
        return chunk.upper() + b"!"


def loud(chunk: bytes) -> bytes:
    return chunk.upper()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with NodeProcess(tmp_path_factory.mktemp("client") / "node") as process:
        yield str(process.data_dir)


@pytest.fixture
def client(node: str) -> Iterator[Client]:
    with Client(node) as opened:
        yield opened


def test_handles_are_futures(client: Client) -> None:
    handles = [client.submit_job(shout, b"%d,x" % index) for index in range(8)]
    _, waiting = cf.wait(handles, timeout=WAIT)
    assert not waiting
    assert {bytes(handle.result()) for handle in cf.as_completed(handles, timeout=WAIT)} == {b"%d!X!" % i for i in range(8)}
    called: list[bytes] = []
    handles[3].add_done_callback(lambda handle: called.append(bytes(handle.result())))
    assert called == [b"3!X!"]


def test_the_result_carries_its_report(client: Client) -> None:
    result = client.submit_job(shout, b"a,b").result(WAIT)
    assert result == b"A!B!"
    assert (result.report.chunks, result.report.bytes_in, result.report.bytes_out) == (2, 3, 4)
    assert result.report.fuel > 0
    assert result.report.where.startswith("node 12D3KooW")


def test_a_pickled_handle_finds_its_job_again(client: Client) -> None:
    handle = client.submit_job(shout, b"a")
    again = pickle.loads(pickle.dumps(handle))
    assert (again.job_id, bytes(again.result(WAIT))) == (handle.job_id, b"A!")


def test_a_handle_that_is_dropped_hangs_up(client: Client) -> None:
    handle = client.submit_job(shout, b"a")
    links = settled_descriptors()
    again = pickle.loads(pickle.dumps(handle))
    assert again.result(WAIT) == b"A!"
    assert open_descriptors() > links
    del again
    until(lambda: settled_descriptors() <= links)


def test_errors_are_those_of_the_embedded_engine(client: Client, node: str) -> None:
    with pytest.raises(JobFailedError, match="told to") as here:
        submit_job(shout, b"a,b,fail,fail")
    with pytest.raises(JobFailedError, match="told to") as there:
        client.submit_job(shout, b"a,b,fail,fail").result(WAIT)
    assert _without_fuel(there.value) == _without_fuel(here.value)  # that depends on how many chunks were tried together
    assert there.value.chunk_index == 2
    assert there.value.traceback == here.value.traceback
    with pytest.raises(LimitExceededError, match="used up its 100,000,000 units of fuel"):
        submit_job(shout, b"hang", node=node, limits={"fuel": 10**8})
    with pytest.raises(LimitExceededError, match=r"timeout of 0\.3 s"):
        submit_job(shout, b"hang", node=node, timeout=0.3, limits={"fuel": 10**14})
    with pytest.raises(ManifestError, match="retry_count"):
        client.submit_job(shout, b"", retry_count=-1)


def _without_fuel(error: JobFailedError) -> dict[str, object]:
    record = error.to_json()
    del record["details"]["fuel"]
    return record


@pytest.mark.long
def test_a_wait_that_is_over_leaves_the_job_running_until_it_is_cancelled(client: Client) -> None:
    handle = client.submit_job(shout, b"hang", limits={"fuel": 10**14})
    with pytest.raises(NotDoneError):
        handle.result(0.05)
    for status in handle:
        if status.running_tasks:
            break
    assert handle.explain()["tasks"]
    assert handle.cancel()
    with pytest.raises(JobCancelledError):
        handle.result(WAIT)
    assert handle.cancelled()
    assert not handle.cancel()


def test_a_listener_is_told_of_changes_to_the_end(client: Client) -> None:
    seen: SimpleQueue[JobStatus] = SimpleQueue()

    handle = client.submit_job(shout, b"a,b")
    handle.on_status(seen.put)

    until(lambda: not seen.empty() and (seen.get()).state is JobState.COMPLETE)
    assert "2 of 2" in handle._repr_html_()
    assert "2 of 2" in handle._repr_mimebundle_()["text/html"]


def test_iterating_ends_with_the_job(client: Client) -> None:
    states = [status.state for status in client.submit_job(shout, b"a,b")]
    assert states[-1] is JobState.COMPLETE


@pytest.mark.long
def test_a_node_without_a_socket_for_content_is_sent_blocks(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node", "--stop-seconds", "0") as process, Client(str(process.data_dir)) as client:
        data = bytes(range(256)) * 20_000
        options: JobKeywords = {"split_strategy": "fixed_size", "max_chunk_size": 1 << 20}
        through_the_socket = client.submit_job(shout, data, **options).result(WAIT)
        (process.data_dir / "content.sock").unlink()
        for blob in (process.data_dir / "blobs").glob("??/*"):
            blob.unlink()
        assert client.submit_job(shout, data, **options).result(WAIT) == through_the_socket


def test_large_content_goes_ahead_in_blocks_and_large_results_come_back_so(client: Client, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(9_000_001)
    (tmp_path / "big").write_bytes(data)
    copy = Job.from_functions(execute=_same, name="copy")
    options: JobKeywords = {"split_strategy": "fixed_size", "max_chunk_size": 1 << 20}
    handle = client.submit_job(copy, tmp_path / "big", **options)
    assert sha256(handle.result(WAIT)).digest() == sha256(data).digest()
    assert sha256(handle.rerun().result(WAIT)).digest() == sha256(data).digest()
    several = client.submit_job(copy, [data[:2_000_000], b"middle", tmp_path / "big"], **options).result(WAIT)
    assert several == data[:2_000_000] + b"middle" + data


def _same(chunk: bytes) -> bytes:
    return chunk


def test_the_same_id_twice_is_one_job_and_another_job_s_id_is_refused(client: Client) -> None:
    job_id = "7c7e1b0e-5b0b-4b8a-9d43-0c3a35a5d9aa"
    first = client.submit_job(shout, b"a", job_id=job_id)
    assert client.submit_job(shout, b"a", job_id=job_id).result(WAIT) == first.result(WAIT)
    with pytest.raises(ManifestError, match="another job"):
        client.submit_job(shout, b"b", job_id=job_id)


def test_the_same_job_is_the_same_wherever_it_is_in_whose_trace(client: Client) -> None:
    where = (
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    job_id = "0f1e2d3c-5b0b-4b8a-9d43-0c3a35a5d9aa"
    manifest = JobManifest(module=Content(module()), inputs=(Content(b"abc"),)).with_job_id(job_id)
    handles = [client.submit_manifest(replace(manifest, trace=trace)) for trace in where]
    assert {handle.job_id for handle in handles} == {job_id}
    assert len({handle.result(WAIT) for handle in handles}) == 1


def test_what_is_no_module_is_refused_before_it_is_accepted(client: Client) -> None:
    before = len(client.list_jobs())
    with pytest.raises(Exception, match="neither a WebAssembly module nor a job archive"):
        client.submit_manifest(JobManifest(module=Content(b"junk"), inputs=(Content(b""),)))
    with pytest.raises(ManifestError, match="no content"):
        client.submit_manifest(JobManifest(module=Content(b"\0asm"), inputs=(Content(sha256="0" * 64, size=3),)))
    assert len(client.list_jobs()) == before


def test_unknown_jobs_and_missing_nodes_are_said_to_be_that(client: Client, tmp_path: Path) -> None:
    with pytest.raises(UnknownJobError):
        client.job("00000000-0000-0000-0000-000000000000").status()
    with Client(f"unix:{tmp_path}/none.sock") as nobody, pytest.raises(UnavailableError, match="no node at"):
        nobody.capacity()
    with pytest.raises(ConfigError, match="not the address"):
        Client("nonsense")


def test_a_callback_may_not_wait_for_the_thread_it_runs_on(client: Client) -> None:
    handle = client.submit_job(shout, b"a")
    other = client.submit_job(shout, b"hang", limits={"fuel": 10**14})
    seen: cf.Future[BaseException | None] = cf.Future()

    def look(_: object) -> None:
        try:
            handle.status()
        except UnavailableError as error:
            seen.set_result(error)

    other.add_done_callback(look)
    other.cancel()
    assert "a callback of a job" in str(seen.result(WAIT))


def test_asyncio_programs_await_handles_on_their_own_loop(node: str) -> None:
    async def program() -> list[bytes]:
        async with AsyncClient(node) as client:
            handles = [await client.submit_job(shout, b"%d" % index) for index in range(4)]
            states = [status.state async for status in handles[0]]
            assert states[-1] is JobState.COMPLETE
            assert (await client.capacity()).cpu_cores >= 1
            assert (await client.info()).peer_id.startswith("12D3")
            assert len(await client.list_jobs(limit=4)) == 4
            return [bytes(result) for result in await asyncio.gather(*handles)]

    assert asyncio.run(program()) == [b"%d!" % index for index in range(4)]


def test_receipts_and_trees_come_by_handle_and_bans_by_client(client: Client, node: str) -> None:
    handle = client.submit_job(shout, b"a" * 100_000, split_strategy="fixed_size", receipt=True)
    handle.result(30)
    receipt = receipt_file.loads(handle.receipt())
    assert receipt.job.chunks == sum(row["chunks"] for row in handle.tree()["workers"])
    without = client.submit_job(shout, b"a")
    without.result(30)
    with pytest.raises(NotDoneError, match="no receipt"):
        without.receipt()
    stranger = Identity.create().peer_id
    client.ban(stranger, "noisy")

    async def pardon() -> tuple[str, bool, bool]:
        async with AsyncClient(node) as same:
            (ban,) = (await same.peers())["banned"]
            return ban["cause"], await same.unban(stranger), await same.unban(stranger)

    assert asyncio.run(pardon()) == ("noisy", True, False)
    with pytest.raises(PeerError, match="no other peer's id"):
        client.ban("nobody")


def test_a_client_with_a_key_signs_its_job_and_the_receipt_has_it(node: str, tmp_path: Path) -> None:
    key = tmp_path / "my.key"
    large = b"a" * 300_000  # sent ahead, over a socket of its own
    with Client(node, identity=key) as mine:
        handle = mine.submit_job(shout, large, receipt=True, associative_merge=True)
        handle.result(WAIT)
        receipt = receipt_file.loads(handle.receipt())
        again = mine.job(handle.job_id).rerun()
        again.result(WAIT)
        assert receipt_file.loads(again.receipt()).job.order is None, "nobody has ordered that: the node has signed for it"
    order = receipt.job.order
    assert order is not None
    assert (order.client, order.job_id) == (Identity.load_or_create(key).peer_id, handle.job_id)
    assert receipt_check.check(receipt, is_signed_by) == []
    (found,) = receipt_check.check(replace(receipt, job=replace(receipt.job, order=None)), is_signed_by)[:1]
    assert found.where in ("spec", "signature")


def test_a_long_receipt_comes_in_blocks(client: Client) -> None:
    async def forged(node: object, at: int, count: int) -> bytes:
        return data[at : at + count]

    data = os.urandom(2 * BLOCK_BYTES + 5)
    whole = bytearray(len(data))
    client.run(client.remote._fill(whole, 0, forged))
    assert bytes(whole) == data
    with pytest.raises(UnavailableError, match="bytes where"):
        client.run(client.remote._fill(bytearray(len(data) + 1), 0, forged))


def test_cancelling_asubmit_job_cancels_the_job_on_the_node(client: Client, node: str) -> None:
    async def program() -> None:
        job = asyncio.ensure_future(asubmit_job(shout, b"hang", node=node, limits={"fuel": 10**14}))
        await asyncio.to_thread(until, lambda: any(status.running_tasks for status in client.list_jobs()))
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job

    asyncio.run(program())
    assert client.list_jobs(limit=1)[0].state is JobState.CANCELLED


@pytest.mark.long
def test_progress_of_submit_job_is_that_of_the_node(node: str) -> None:
    seen: list[Progress] = []
    submit_job(shout, b",".join([b"x"] * 50_000), node=node, on_progress=seen.append)
    assert all(a.chunks <= b.chunks for a, b in pairwise(seen))


@pytest.mark.long
def test_the_executor_runs_functions_on_the_node(node: str) -> None:
    with PangeaExecutor(node) as executor:
        futures = [executor.submit(loud, b"a%d" % index) for index in range(4)]
        assert [future.result(WAIT) for future in futures] == [b"A%d" % index for index in range(4)]
        assert list(executor.map(loud, (b"c%d" % index for index in range(5_000)))) == [b"C%d" % i for i in range(5_000)]
        assert list(executor.map(loud, [])) == []
        with pytest.raises(JobFailedError, match="missing 1 required positional argument"):
            executor.submit(loud).result(WAIT)
        with pytest.raises(InputError, match="call 1: an object can't travel as a value"):
            list(executor.map(loud, [b"a", object()]))


def run_many(client: Client) -> None:
    for _ in range(100):
        client.submit_job(shout, b"b").result(WAIT)


def test_quotas_are_errors_that_say_what_and_others_go_on(tmp_path: Path) -> None:
    quotas = ("--jobs-per-owner-max", "2", "--bytes-per-owner-max", "3MiB", "--fuel-per-owner-max", "200000")
    with NodeProcess(tmp_path / "node", "--stop-seconds", "0", *quotas) as process, Client(str(process.data_dir)) as client:
        running = [client.submit_job(shout, b"hang", limits={"fuel": 10**14}) for _ in range(2)]
        with pytest.raises(QuotaError, match="2 unfinished jobs"):
            client.submit_job(shout, b"a")
        running.pop().cancel()
        with pytest.raises(QuotaError, match=r"holds 3\.0 MiB at most"):
            client.submit_job(shout, bytes(4 << 20))
        assert client.submit_job(shout, b"a").result(WAIT) == b"A!"
        with pytest.raises(QuotaError, match="fuel of the 200,000"):  # the splits of `hang` may have been billed by now, or not
            run_many(client)


def test_a_damaged_blob_is_noticed_and_named(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node") as process, Client(str(process.data_dir), reconnect_timeout=60) as client:
        module = shout.archive() + b"x" * 100_000
        handle = client.submit_manifest(JobManifest(module=Content(module), inputs=(Content(b"a"),)))
        with pytest.raises(Exception, match="can't be read"):
            handle.result(WAIT)
        for path in (process.data_dir / "blobs").glob("??/*"):
            content = bytearray(path.read_bytes())
            content[10] ^= 1
            path.write_bytes(content)
        with pytest.raises(InputError, match="is damaged on the node's disk"):
            handle.rerun().result(WAIT)


def test_many_clients_at_once_each_get_their_own_exact_result(node: str) -> None:
    def one(number: int) -> bool:
        with Client(node) as client:
            handles = [client.submit_job(shout, b"%d-%d" % (number, turn)) for turn in range(5)]
            return [bytes(handle.result(WAIT)) for handle in handles] == [b"%d-%d!" % (number, turn) for turn in range(5)]

    with ThreadPoolExecutor(20) as threads:
        assert all(threads.map(one, range(20)))

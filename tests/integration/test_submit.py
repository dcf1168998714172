"""`submit_job` and `asubmit_job` over real sandboxes."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pangea.compute import Client, Job, asubmit_job, submit_job
from pangea.compute.client.submission import remote
from pangea.compute.errors import InputError, JobDefinitionError, ManifestError, UnavailableError
from pangea.compute.jobs import Progress


@Job.define
def total():  # type: ignore[no-untyped-def]
    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split(b",")

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d" % (2 * int(chunk or b"0"))

    @Job.merge(associative=True)
    def merge(results: list[bytes]) -> bytes:
        return b"%d" % sum(map(int, results))


@Job.define
def echo():  # type: ignore[no-untyped-def]
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return chunk


def test_bytes_paths_and_files_are_inputs(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    path.write_bytes(b"1,2,3")
    with path.open("rb") as file:
        answers = [submit_job(total, each) for each in (b"1,2,3", path, str(path), file, io.BytesIO(b"1,2,3"))]
    assert answers == [b"12"] * 5


def test_a_list_of_inputs_is_as_many_segments(tmp_path: Path) -> None:
    result = submit_job(total, [b"1,2", b"3"])
    assert result == b"12"
    assert (result.report.segments, result.report.chunks) == (2, 3)


def test_no_input_is_one_empty_input() -> None:
    assert submit_job(echo) == b""
    assert submit_job(total) == b"0"


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(-1000, 1000), max_size=300), st.sampled_from(["custom", "row_based", "fixed_size"]))
def test_the_sandbox_gives_what_a_native_run_gives(numbers: list[int], strategy: str) -> None:
    data = b",".join(b"%d" % n for n in numbers)
    assert submit_job(total, data) == total.run_local(data)
    assert submit_job(echo, data, split_strategy=strategy, min_chunk_size=1, max_chunk_size=len(data) + 1) == data


def test_the_options_of_a_call_win_over_the_jobs_own() -> None:
    job = Job.from_functions(execute=lambda_free, split_strategy="fixed_size", max_chunk_size=2, min_chunk_size=1)
    assert submit_job(job, b"abcd").report.chunks == 2
    assert submit_job(job, b"abcd", max_chunk_size=1).report.chunks == 4


def lambda_free(chunk: bytes) -> bytes:
    return chunk


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_chunk_size": -1}, "max_chunk_size is -1; it must be an integer between 1"),
        ({"timeout": "long"}, "timeout is 'long'; it must be a number between"),
        ({"max_chunk_sise": 1}, "unknown field 'max_chunk_sise'"),
        ({"dashbord": True}, "did you mean 'dashboard'?"),
        ({"limits": {"memory": "a lot"}}, "limits.memory is 'a lot'"),
        ({"limits": {"memory": 1 << 20}}, "limits.memory is 1.0 MiB; a Python job needs at least 40.0 MiB"),
        ({"limits": {"memroy": 1}}, "unknown field 'limits.memroy'"),
        ({"verification_mode": "trust"}, "verification_mode is 'trust'"),
    ],
)
def test_a_bad_option_is_refused_before_anything_runs(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        submit_job(echo, b"x", **options)
    assert words in f"{caught.value} {caught.value.hint}"


def test_a_node_that_is_not_there_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no node at unix:"):
        submit_job(echo, b"a", node=f"unix:{tmp_path}/rpc.sock")


def test_nobody_waits_longer_for_a_node_than_one_takes_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_STARTING_SECONDS", 0.1)
    monkeypatch.setattr(remote, "_BACKOFF_SECONDS", 1e6)  # before the next look
    with (
        Client(f"unix:{tmp_path}/rpc.sock", reconnect_timeout=1e9) as client,
        pytest.raises(UnavailableError, match="no node at"),
    ):
        client.list_jobs()


def test_where_the_user_chose_so_a_lost_node_means_this_machine_and_the_report_says_it(tmp_path: Path) -> None:
    result = submit_job(echo, b"a b", node=f"unix:{tmp_path}/rpc.sock", on_node_lost="local")
    assert result == b"a b"
    assert "because no node at" in result.report.where


def test_something_else_is_no_job() -> None:
    with pytest.raises(JobDefinitionError, match="function, not a job"):
        submit_job(lambda_free, b"x")  # type: ignore[arg-type]


def test_input_too_large_for_custom_names_both_remedies() -> None:
    with pytest.raises(InputError) as caught:
        submit_job(total, bytes(60 << 20))
    text = f"{caught.value} {caught.value.hint}"
    assert "row_based" in text
    assert "memory" in text


def test_jobs_from_many_threads_share_the_engine() -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: submit_job(total, b"%d,1" % n), range(24)))
    assert results == [b"%d" % (2 * (n + 1)) for n in range(24)]


def test_progress_ends_with_all_of_the_input_done() -> None:
    seen: list[Progress] = []
    submit_job(echo, b"line\n" * 1000, split_strategy="row_based", max_chunk_size=100, min_chunk_size=1, on_progress=seen.append)
    assert seen[-1].bytes_done == seen[-1].bytes_total == 5000


def test_progress_of_a_split_that_makes_more_of_its_input_ends_no_sooner() -> None:
    seen: list[Progress] = []

    def blown_up(data: bytes) -> list[bytes]:
        return [data * 100] * 40

    job = Job.from_functions(lambda chunk: chunk[:1], split=blown_up)
    submit_job(job, b"x" * 1000, min_chunk_size=1, on_progress=seen.append)
    assert [each.bytes_done == 1000 for each in seen if each.phase == "running"].index(True) == len(seen) - 1
    assert any(0 < each.bytes_done < 1000 for each in seen)


def test_asubmit_job_returns_the_same_and_runs_beside_others() -> None:
    async def both() -> list[bytes]:
        return list(await asyncio.gather(asubmit_job(total, b"1,2"), asubmit_job(total, b"3,4")))

    assert asyncio.run(both()) == [b"6", b"14"]


def test_cancelling_asubmit_job_ends_the_job() -> None:
    def endless(chunk: bytes) -> bytes:
        while True:
            pass

    async def cancelled() -> None:
        task = asyncio.create_task(asubmit_job(Job.from_functions(execute=endless), b"x"))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(task, 0.5)
        assert task.cancelled()

    asyncio.run(cancelled())
    assert submit_job(echo, b"still here") == b"still here"


def test_large_results_of_an_associative_merge_are_merged_in_groups() -> None:
    def execute(chunk: bytes) -> bytes:
        return chunk

    def merge(results: list[bytes]) -> bytes:
        return max(results)

    job = Job.from_functions(execute=execute, merge=merge, associative=True)
    data = bytes(40 << 20)
    result = submit_job(job, data, split_strategy="fixed_size", max_chunk_size=1 << 20)
    assert result == bytes(1 << 20)


def test_adaptive_says_what_it_chose() -> None:
    report = submit_job(echo, b"a line of text\n" * 10_000, split_strategy="adaptive").report
    assert report.split_strategy.startswith("adaptive: row_based (it looks like text")
    assert submit_job(echo, b"x").report.split_strategy == "custom"


def test_a_receipt_is_asked_of_a_node() -> None:
    with pytest.raises(ManifestError, match="signed by a node"):
        submit_job(echo, b"x", receipt=True)

"""`os.fork`: what a parent began works in its child, or says that it doesn't; and no fork comes at a bad moment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.examples import long
from tests.nodes import NodeProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BEGIN = """
import os, signal, sys, threading, time
from concurrent.futures import wait
from pangea.compute import Client, Job, submit_job

def upper(chunk: bytes) -> bytes:
    return chunk.upper()

def slow(chunk: bytes) -> bytes:
    for _ in range(10_000_000):
        pass
    return chunk

job = Job.from_functions(upper)

def in_child(work):
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0, "the child"
        return
    signal.alarm(40)  # far beyond what it takes: a hang is a failure
    try:
        work()
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

def same(found, expected):
    assert found == expected, (found, expected)
"""


#: Exit code and stderr of a program in which nothing went wrong.
WELL = (0, "")


def run(script: str, *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a program that says by assertions of its own what went wrong.

    Since 3.12 Python warns who forks while it has threads, which is what is tried here.
    """
    quiet = [sys.executable, "-W", "ignore:This process:DeprecationWarning"]
    done = subprocess.run([*quiet, "-c", BEGIN + script, *arguments], capture_output=True, timeout=100, check=False, text=True)
    return done.returncode, done.stderr


def test_a_fork_while_a_worker_is_launched_leaves_no_lock_behind() -> None:
    assert (
        run("""
from pangea.compute.engine import launch
with launch._launching:  # as another thread holds it
    in_child(lambda: same(submit_job(job, b"b"), b"B"))
""")
        == WELL
    )


@pytest.mark.long
def test_a_fork_while_the_first_job_starts_hangs_nobody() -> None:
    assert (
        run("""
for delay in (0.0, 0.005, 0.02, 0.05, 0.1, 0.2):
    child = os.fork()  # each time a process that has run no job yet
    if child:
        assert os.waitpid(child, 0)[1] == 0, delay
        continue
    first = threading.Thread(target=lambda: same(submit_job(job, b"a"), b"A"))
    first.start()
    time.sleep(delay)
    in_child(lambda: same(submit_job(job, b"b"), b"B"))
    first.join()
    os._exit(0)
""")
        == WELL
    )


def test_the_embedded_engine_of_a_child_is_its_own() -> None:
    assert (
        run("""
same(submit_job(job, b"a"), b"A")
in_child(lambda: same(submit_job(job, b"b"), b"B"))
same(submit_job(job, b"c"), b"C")
""")
        == WELL
    )


@pytest.mark.long
def test_functions_are_called_in_a_child_as_in_its_parent() -> None:
    assert (
        run("""
from pangea.compute import PangeaExecutor, map, submit
own = PangeaExecutor()
same((submit(upper, b"a").result(), own.submit(upper, b"a").result()), (b"A", b"A"))
def work():
    same(list(map(upper, [b"b", b"c"])), [b"B", b"C"])
    same((submit(upper, b"d").result(), own.submit(upper, b"e").result()), (b"D", b"E"))
in_child(work)
same(submit(upper, b"f").result(), b"F")
""")
        == WELL
    )


def test_calls_that_a_parent_has_begun_say_in_a_child_that_nobody_brings_them() -> None:
    assert (
        run("""
from pangea.compute import map, submit
from pangea.compute.errors import UnavailableError
begun, results = submit(slow, b"a"), map(slow, [b"b"], chunksize=1)
chained = submit(upper, begun)
first = iter(results)
def says(ask):
    try:
        ask()
    except UnavailableError as error:
        assert "forked" in str(error), error
    else:
        raise AssertionError("a result")
def work():
    says(begun.result)
    says(chained.result)
    same(submit(upper, b"d").result(), b"D")
in_child(work)
same((begun.result(), chained.result(), list(results)), (b"a", b"A", [b"b"]))
""")
        == WELL
    )


@pytest.mark.long
def test_what_a_first_job_needs_is_imported_in_one_go() -> None:
    assert (
        run("""
from pangea.compute.client.submission import submit
from pangea.compute.engine import forks
forks.load(submit._NEEDED)
before = set(sys.modules)
same(submit_job(job, b"a"), b"A")
same(set(sys.modules) - before, set())
""")
        == WELL
    )


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with NodeProcess(tmp_path_factory.mktemp("forks") / "node") as process:
        yield str(process.data_dir)


@pytest.mark.long
def test_a_client_works_in_a_child_and_goes_on_in_its_parent(node: str) -> None:
    assert (
        run(
            """
client = Client(sys.argv[1])
same(client.submit_job(job, b"a").result(30), b"A")
in_child(lambda: same(client.submit_job(job, b"b").result(30), b"B"))
in_child(lambda: same(submit_job(job, b"d", node=sys.argv[1]), b"D"))
same(client.submit_job(job, b"c").result(30), b"C")
""",
            node,
        )
        == WELL
    )


@pytest.mark.parametrize(
    "how", ["handle.result(30)", *long("(wait([handle], 30), handle.result(0))[1]", "handle.exception(30) or b'x'")]
)
def test_a_handle_that_is_pending_works_in_a_child_too(how: str, node: str) -> None:
    assert (
        run(
            f"""
client = Client(sys.argv[1])
handle = client.submit_job(Job.from_functions(slow), b"x")
assert not handle.done()
in_child(lambda: same({how}, b"x"))
same(handle.result(60), b"x")
""",
            node,
        )
        == WELL
    )

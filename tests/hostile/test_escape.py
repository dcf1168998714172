"""Row 7: a guest that has broken out of its sandbox finds a process with nothing in it, and a node that believes nothing."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.engine import process as process_module
from pangea.compute.engine import seccomp
from pangea.compute.engine.engines.local import LocalEngine, LocalFuture
from pangea.compute.engine.launch import launch
from pangea.compute.engine.process import WorkerProcess
from pangea.compute.engine.task import Guest
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import MIB
from tests.deadlines import children_of, is_running, until
from tests.examples import spread
from tests.guests import BURN, module
from tests.leaks import assert_none_left_open
from tests.runs import module_guest, task_of


class Canaries:
    """What an escaped guest would like to have: a listening socket, a folder, a variable, an open file."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self.folder = folder
        self.listener = listener
        self.port: int = listener.getsockname()[1]

    def launched(self, function: str, *arguments: object) -> bytes:
        """What `function` of `tests.hostile.escape` says in a process started as workers are."""
        ours, theirs = socket.socketpair()
        with ours, tempfile.TemporaryFile() as stderr:
            with theirs:
                child = launch(
                    "tests.hostile.escape", function, (theirs.fileno(), os.getpid(), *arguments), [theirs.fileno()], stderr
                )
            ours.settimeout(30)
            said = b""
            while part := ours.recv(65536):
                said += part
            child.wait(50)
            stderr.seek(0)
            assert child.returncode == 0, stderr.read().decode()
            return said


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canaries]:
    folder = tmp_path_factory.mktemp("canaries")
    (folder / "canary").write_bytes(b"")
    with (
        pytest.MonkeyPatch.context() as environment,
        socket.create_server(("127.0.0.1", 0)) as listener,
        open(folder / "secret", "wb") as secret,
    ):
        environment.setenv("CANARY", "sings")
        os.set_inheritable(secret.fileno(), True)
        os.set_inheritable(listener.fileno(), True)
        yield Canaries(folder, listener)


@pytest.fixture(scope="module")
def found(canaries: Canaries) -> dict[str, Any]:
    """What an escaped guest found: one for all that is asked of it."""
    answer: dict[str, Any] = json.loads(canaries.launched("main", canaries.port, str(canaries.folder)))
    return answer


def test_row_7_the_environment_is_empty(found: dict[str, Any]) -> None:
    assert {name for name in found["environment"] if name != "LC_CTYPE"} == set()  # Python itself sets that one


def test_row_7_no_file_is_open_but_those_given(found: dict[str, Any]) -> None:
    kept = {number: target for number, target in found["descriptors"].items() if target != "gone"}
    own = [target for target in kept.values() if target.startswith("socket:")]
    assert len(own) == 1
    assert all(int(number) < 3 for number, target in kept.items() if not target.startswith("socket:"))
    assert not any("secret" in target for target in kept.values())


def test_row_7_nothing_can_be_written_to_a_file(found: dict[str, Any], canaries: Canaries) -> None:
    assert not found["write"].startswith("done")
    assert not found["append"].startswith("done")
    assert all(file.stat().st_size == 0 for file in canaries.folder.iterdir())


def test_row_7_no_file_of_the_user_can_be_read(found: dict[str, Any]) -> None:
    if not found["jail"]["files"]:
        pytest.skip("the kernel has no Landlock: 5.13 or later, with landlock in lsm=, is needed")
    assert found["read"] == found["password"] == found["list"] == "PermissionError 13"


def test_row_7_limits_can_t_be_raised_again_even_by_root(found: dict[str, Any]) -> None:
    assert found["jail"]["capabilities"]
    assert found["capabilities"] == 0
    assert not found["raise limits"].startswith("done")


def test_row_7_the_network_is_out_of_reach(found: dict[str, Any]) -> None:
    if not found["jail"]["network"]:
        pytest.skip("the kernel allows no network namespace: run as root, or sysctl kernel.unprivileged_userns_clone=1")
    assert not found["connect"].startswith("done")
    assert not found["interfaces"].startswith("done")  # it can't even make a socket to ask with


def test_row_7_it_leaves_no_core_dump_and_gets_no_privileges(found: dict[str, Any]) -> None:
    assert found["core"] == [0, 0]
    assert found["no new privileges"] == 1
    assert found["jail"]["no_new_privileges"]
    assert found["files"] <= 64
    assert found["session"]  # signals to the terminal's group don't reach it


def test_row_7_the_compiler_s_process_is_as_poor(canaries: Canaries) -> None:
    found = json.loads(canaries.launched("compile_side", canaries.port, str(canaries.folder)))
    assert set(found["environment"]) <= {"LC_CTYPE"}
    assert found["core"] == [0, 0]
    assert found["no new privileges"] == 1
    assert not (found["jail"]["network"] and found["connect"].startswith("done"))
    assert not (found["jail"]["files"] and found["read"].startswith("done"))


def test_row_7_a_task_makes_no_call_but_those_that_computing_takes(canaries: Canaries) -> None:
    told = json.loads(canaries.launched("forbidden"))
    if not told["jail"]["calls"]:
        pytest.skip("the kernel has no seccomp: CONFIG_SECCOMP_FILTER is needed")
    found = told["found"]
    said = {name: found.pop(name) for name in ("executable memory", "memory made executable", "fork")}
    assert {name: each for name, each in found.items() if each != [-1, errno.EPERM]} == {}
    assert said["executable memory"] in ("done -1", f"done {2**64 - 1}")  # MAP_FAILED
    assert said["memory made executable"] == "done -1"
    assert said["fork"] == f"PermissionError {errno.EPERM}"
    assert told["processes"] == [0, 0]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("role", seccomp.Role)
def test_row_7_the_filter_is_one_that_any_kernel_takes(machine: str, role: seccomp.Role) -> None:
    code = seccomp.program(role, machine)
    count = len(code) // 8
    assert count < 4096  # BPF_MAXINSNS
    words = [struct.unpack("=HBBI", code[8 * at : 8 * at + 8]) for at in range(count)]
    assert words[0] == (0x20, 0, 0, 4)  # the architecture comes first
    assert words[-1] == (0x06, 0, 0, 0x0005_0000 | errno.EPERM)  # what isn't named is refused
    for at, (operation, if_so, if_not, _) in enumerate(words):
        if operation & 0x07 == 0x05:
            assert at + 1 + max(if_so, if_not) < count, "a jump leads out of the program"


def test_row_7_no_task_may_do_what_a_worker_may_to_start_tasks() -> None:
    task, worker = seccomp.allowed(seccomp.Role.TASK), seccomp.allowed(seccomp.Role.WORKER)
    assert task < worker
    assert not task & {
        "clone",
        "clone3",
        "fork",
        "vfork",
        "execve",
        "openat",
        "open",
        "socket",
        "kill",
        "tgkill",
        "prctl",
        "seccomp",
    }


def test_row_7_a_task_s_memory_is_bounded_even_outside_the_guest(canaries: Canaries) -> None:
    found = json.loads(canaries.launched("memory", 64 * MIB))
    assert 64 <= found["megabytes"] <= 64 + 192
    assert found["cpu"][0] == 10


def test_row_7_it_dies_with_its_parent(tmp_path: Path) -> None:
    script = f"""
import os, socket, sys, tempfile
sys.path[:] = {sys.path!r}
from pangea.compute.engine.launch import launch
ours, theirs = socket.socketpair()
child = launch("tests.hostile.escape", "linger", (theirs.fileno(), os.getpid()), [theirs.fileno()], tempfile.TemporaryFile())
print(ours.recv(100).decode(), flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    until(lambda: not is_running(pid))


def test_row_7_a_process_whose_parent_is_gone_already_ends_at_once(canaries: Canaries) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile() as stderr:
        child = launch("tests.hostile.escape", "linger", (theirs.fileno(), 1 << 22), [theirs.fileno()], stderr)
        assert child.wait(50) == 1


def test_row_7_a_running_task_is_jailed(engine: LocalEngine) -> None:
    future = engine.submit(task_of(module_guest(engine, module(BURN), fuel=10**15, time=41), b"x"))
    assert isinstance(future, LocalFuture)
    pid = until(lambda: future.process.pid if future.process is not None else 0)  # others may run what tests before have left
    child = until(lambda: _with_cpu_seconds(children_of(pid), "46"), what="this job's task: of those before no other has 41 s")
    bounded = _limits_of(child)
    assert (bounded["Max file size"], bounded["Max core file size"]) == ("0", "0")
    assert int(bounded["Max data size"]) == (256 + 192) * MIB
    if os.geteuid() == 0:  # not even who has started it may look into it otherwise
        assert Path(f"/proc/{child}/environ").read_bytes().strip(b"\0").replace(b"LC_CTYPE=C.UTF-8", b"") == b""
        own = os.readlink("/proc/self/ns/net")
        assert not engine.jail["network"] or os.readlink(f"/proc/{child}/ns/net") != own
    else:
        with pytest.raises(PermissionError):
            Path(f"/proc/{child}/environ").read_bytes()
    engine.cancel([future])
    assert isinstance(future.result(50), Failure)


def _with_cpu_seconds(pids: list[int], seconds: str) -> int:
    """The process that may use so much CPU time; 0: none of them."""
    for pid in pids:
        with suppress(OSError):  # it has ended
            if _limits_of(pid)["Max cpu time"] == seconds:
                return pid
    return 0


def _limits_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:25].strip(): line[25:].split()[0] for line in lines}


class TestALyingWorker:
    """A worker process that was taken over talks to the node; the node survives whatever it says."""

    @pytest.fixture
    def outcome_after(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
        started: list[WorkerProcess] = []

        def outcome(*lies: object, **limits: Any) -> object:
            def launch_liar(
                _module: str, _function: str, arguments: tuple[object, ...], files: tuple[int, ...], stderr: Any
            ) -> subprocess.Popen[bytes]:
                return launch("tests.hostile.liar", "main", (*arguments, list(lies)), files, stderr)

            monkeypatch.setattr(process_module, "launch", launch_liar)
            worker = WorkerProcess(tmp_path)
            started.append(worker)
            guest = Guest("0" * 64, b"code", Limits.of({"time": 2, **limits}))
            with open(os.devnull, "rb") as code:
                return worker.run(task_of(guest, b"x"), code.fileno())

        yield outcome
        for worker in started:
            worker.close()

    @pytest.mark.parametrize(
        "lie",
        spread(
            4,
            [
                b"no json",
                b"[1, 2]",
                b'"text"',
                b"\xff\xfe",
                pytest.param(b"[" * 100_000, id="deep"),
                {},
                {"nonsense": 1},
                {"done": {}},
                {"done": 1},
                {"done": {"start": -1, "size": 1, "fuel": 0, "seconds": 0, "prints": ""}},
                {"need": "much"},
                {"progress": None},
                1 << 40,
                {"failure": {"kind": "joy"}},
                {"failure": {"kind": "trapped", "message": "for another task"}, "number": 1},
                {"lost": "its way"},
            ],
        ),
    )
    def test_row_7_a_record_that_is_none_loses_the_worker_and_nothing_else(self, outcome_after: Any, lie: object) -> None:
        outcome = outcome_after(lie)
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.WORKER_LOST

    @pytest.mark.parametrize("size", [10_000_000, 1 << 34])
    def test_row_7_announced_results_that_aren_t_there_cost_no_memory(self, outcome_after: Any, size: int) -> None:
        before = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, before[1]))  # a node without 16 GiB to spare
        try:
            outcome = outcome_after({"done": {"start": 0, "size": size, "fuel": 0, "seconds": 0, "prints": ""}})
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.WORKER_LOST

    def test_row_7_shared_memory_doesn_t_grow_without_bound(self, outcome_after: Any) -> None:
        outcome = outcome_after({"need": 1 << 40})
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.WORKER_LOST
        assert "1,024.0 GiB" in outcome.message

    def test_row_7_open_files_that_a_worker_sends_aren_t_kept(self, outcome_after: Any) -> None:
        with assert_none_left_open(more=4):  # the worker's own socket, memory, progress and complaints
            outcome_after("files")

"""A machine that has run out of something: said in words, once, and what can go on goes on."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from pangea.compute.model.errors import UnavailableError
from pangea.compute.network.rpc.unix import bound
from pangea.compute.node import logs
from pangea.compute.node.service import daemon
from pangea.compute.node.storage import database as database_module
from tests.integration.test_rpc import Stage, play
from tests.leaks import assert_none_left_open, settled_descriptors


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (settled_descriptors() + 40, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_descriptors")
def test_who_comes_when_there_are_no_descriptors_is_turned_away_and_others_are_served(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        told: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
        with ExitStack() as stack:
            held = []
            with suppress(OSError):
                while True:
                    held.append(stack.enter_context(open(os.devnull, "rb")))
            held.pop().close()  # for the client's end
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, str(on.path))
            assert await asyncio.wait_for(loop.sock_recv(client, 1), 25) == b""  # hung up on, at once
            assert (await on.connection.capacity()).cpu_cores == 3
        assert not told  # nothing that asyncio would tell with a traceback, again and again
        assert [type(each) for each in on.troubles] == [OSError]
        assert on.troubles[0].errno == errno.EMFILE

    play(tmp_path, scene)


def test_a_listener_gives_back_what_it_has_kept(tmp_path: Path) -> None:
    with assert_none_left_open():
        for _ in range(20):
            with bound(tmp_path / "a.sock") as listener:
                listener.listen()


class Log:
    """Notes what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def error(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))


def test_troubles_of_the_machine_are_said_once_in_a_while_without_a_traceback_and_bugs_each_time() -> None:
    log, troubles = Log(), logs.RateLimitedLog("node", every=3600.0)
    troubles._log = log
    for _ in range(1_000):
        troubles.tell(OSError(errno.ENOSPC, "no space left"))
    assert [event for event, _ in log.lines] == ["the machine is in trouble"]
    troubles.tell(OSError(errno.EMFILE, "too many open files"))
    for _ in range(3):
        troubles.tell(ValueError("a bug"))
    assert len(log.lines) == 5
    assert all("exc_info" in fields for event, fields in log.lines if event == "call failed")
    troubles._every = 0.0
    troubles.tell(OSError(errno.ENOSPC, "no space left"))
    assert log.lines[-1][1]["since_last"] == 999


def test_a_full_disk_keeps_nobody_from_holding_the_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, file: object) -> None:
            self._file = file

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()  # type: ignore[attr-defined]

        def fileno(self) -> int:
            return int(self._file.fileno())  # type: ignore[attr-defined]

        def truncate(self, _size: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    real = daemon._lock_file
    monkeypatch.setattr(daemon, "_lock_file", lambda path: Full(real(path)))
    with daemon._locked(tmp_path):
        monkeypatch.setattr(daemon, "_lock_file", real)
        with pytest.raises(UnavailableError, match="another node uses"), daemon._locked(tmp_path):
            pass


def test_a_lock_that_can_t_be_made_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(UnavailableError, match=r"the lock .* can't be used: is a directory") as found, daemon._locked(tmp_path):
        pass
    assert found.value.hint


def test_a_journal_on_a_full_disk_says_that_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_ROOM_BYTES", 1 << 62)
    (tmp_path / "journal.sqlite").mkdir()  # whatever SQLite or the system say
    with pytest.raises(UnavailableError, match="its disk is full"):
        database_module.connect(tmp_path / "journal.sqlite")

"""A process from the nursery is its own: descriptors, environment, folder, signals, exit code; it ends with its nursery."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.deadlines import is_running, until
from tests.nodes import pangea, pangea_in
from tests.nursery import Forked, Nursery, is_like_here, nursery


def node(home: Nursery, folder: Path) -> Forked:
    """One that runs until it is told to stop."""
    with open(os.devnull, "wb") as nowhere:
        return home.start(
            ["node", "start", "--data-dir", str(folder)], os.environ, stdout=nowhere.fileno(), stderr=nowhere.fileno()
        )


def test_it_says_what_the_command_line_says_and_ends_as_it_does(tmp_path: Path) -> None:
    done = pangea_in(tmp_path, "id", "--identity", "my.key")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"12D3KooW")
    assert (tmp_path / "my.key").exists()
    again = pangea_in(tmp_path, "id", PANGEA_IDENTITY="my.key")
    assert again.stdout == done.stdout
    assert pangea("nde").returncode == 2


def test_it_is_signalled_and_waited_for(tmp_path: Path) -> None:
    one = node(nursery(), tmp_path / "n")
    with pytest.raises(subprocess.TimeoutExpired):
        one.wait(0.0)
    one.kill()
    assert one.wait(30) == one.returncode == one.poll() == -signal.SIGKILL
    one.terminate()  # of a process that is gone: nobody else's is hit


def test_what_a_nursery_has_started_ends_with_it(tmp_path: Path) -> None:
    home = Nursery()
    one = node(home, tmp_path / "n")
    home.close()
    until(lambda: not is_running(one.pid))
    assert one.wait(30) == -signal.SIGKILL


def test_two_at_once_have_descriptors_of_their_own() -> None:
    with tempfile.TemporaryFile() as first, tempfile.TemporaryFile() as second, open(os.devnull, "wb") as nowhere:
        both = [
            nursery().start(["--version"], os.environ, stdout=out.fileno(), stderr=nowhere.fileno()) for out in (first, second)
        ]
        assert [each.wait(30) for each in both] == [0, 0]
        first.seek(0)
        second.seek(0)
        assert first.read() == second.read() != b""


def test_an_interpreter_that_would_start_otherwise_is_started() -> None:
    assert is_like_here({**os.environ, "PANGEA_NODE": "x"})
    assert not is_like_here({**os.environ, "PYTHONHASHSEED": "7"})
    assert not is_like_here({**os.environ, "LC_ALL": "tr_TR.UTF-8"})

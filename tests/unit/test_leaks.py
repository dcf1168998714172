"""What tests leave is seen: each kind of it, once."""

from __future__ import annotations

import gc
import mmap
import os
import socket
import subprocess
import sys
import threading
import warnings
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.leaks import Held, assert_none_left_open, open_descriptors, settled_descriptors

NOWHERE = Path("/nowhere")


@pytest.fixture(autouse=True)
def settled() -> None:
    """What earlier tests left as garbage doesn't go while these count."""
    gc.collect()


#: So many descriptors that the few that threads of other tests open and close beside these make no difference.
MANY = 40


def left_since(before: Held, *, of: str) -> list[str]:
    """What is said to be left, of what this test has made: threads of others may open something at this moment."""
    return [each for each in Held.now(NOWHERE).beyond(before) if of in each]


def test_nothing_left_is_nothing_said(tmp_path: Path) -> None:
    before, path = Held.now(NOWHERE), tmp_path / "closed"
    with open(path, "w"):
        pass
    assert left_since(before, of=str(path)) == []


def test_an_open_file_is_seen_unless_it_is_compiled_code(tmp_path: Path) -> None:
    before, path = Held.now(tmp_path), tmp_path / "left"
    with open(path, "w"):
        assert left_since(before, of=str(path)) == [f"1 more {path}"]
        assert not [each for each in Held.now(tmp_path).beyond(before) if str(path) in each]


def test_descriptors_that_somebody_lists_are_no_leak() -> None:
    before = Held.now(NOWHERE)
    with os.scandir("/proc/self/fd"):
        assert left_since(before, of="/fd") == []


def test_a_pipe_is_seen_by_kind_and_a_like_one_in_its_place_is_none_more() -> None:
    first = os.pipe()
    before = Held.now(NOWHERE)
    second = os.pipe()
    assert left_since(before, of="pipe") == ["2 more pipe"]
    for each in first:
        os.close(each)
    assert left_since(before, of="pipe") == []
    for each in second:
        os.close(each)


def test_a_thread_is_seen() -> None:
    before, end = Held.now(NOWHERE), threading.Event()
    thread = threading.Thread(target=end.wait, args=(60,), name="left-1", daemon=True)
    thread.start()
    assert left_since(before, of="left-") == ["1 more of thread left-"]
    end.set()
    thread.join()
    assert left_since(before, of="left-") == []


def test_a_process_is_seen_until_somebody_waits_for_it() -> None:
    before = Held.now(NOWHERE)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert left_since(before, of="processes") == [f"1 more processes, of [{process.pid}]"]
    process.communicate(b"\n")
    assert left_since(before, of="processes") == []


def test_shared_memory_is_seen_though_its_file_is_closed() -> None:
    before = Held.now(NOWHERE)
    file = os.memfd_create("left")
    os.truncate(file, 4096)
    with mmap.mmap(file, 4096):
        os.close(file)
        assert left_since(before, of="mapped") == ["1 more mapped /memfd:left (deleted)"]
    assert left_since(before, of="memfd:left") == []


def test_a_descriptor_that_stays_is_told() -> None:
    with ExitStack() as kept:
        with pytest.raises(AssertionError, match="closing what was opened"), assert_none_left_open(seconds=0.05):
            keep_many(kept)
        with assert_none_left_open(more=MANY):
            keep_many(kept)


def keep_many(kept: ExitStack) -> None:
    for _ in range(MANY):
        kept.enter_context(open("/dev/null"))


def test_descriptors_of_earlier_garbage_are_closed_before_they_are_counted() -> None:
    before = settled_descriptors()
    ring: list[object] = [socket.socket() for _ in range(MANY)]
    ring.append(ring)
    assert open_descriptors() > before + MANY / 2
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        del ring
        assert settled_descriptors() < before + MANY / 2

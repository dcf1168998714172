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

from tests.leaks import Held, none_left_open, open_descriptors, settled_descriptors

NOWHERE = Path("/nowhere")


@pytest.fixture(autouse=True)
def settled() -> None:
    """What earlier tests left as garbage doesn't go while these count."""
    gc.collect()


def left_since(before: Held) -> list[str]:
    return Held.now(NOWHERE).beyond(before)


def test_nothing_left_is_nothing_said() -> None:
    before = Held.now(NOWHERE)
    with open("/dev/null"):
        pass
    assert left_since(before) == []


def test_an_open_file_is_seen_unless_it_is_compiled_code(tmp_path: Path) -> None:
    before, path = Held.now(tmp_path), tmp_path / "left"
    with open(path, "w"):
        assert left_since(before) == [f"1 more {path}"]
        assert Held.now(tmp_path).beyond(before) == []


def test_descriptors_that_somebody_lists_are_no_leak() -> None:
    before = Held.now(NOWHERE)
    with os.scandir("/proc/self/fd"):
        assert left_since(before) == []


def test_a_pipe_is_seen_by_kind_and_a_like_one_in_its_place_is_none_more() -> None:
    first = os.pipe()
    before = Held.now(NOWHERE)
    second = os.pipe()
    assert left_since(before) == ["2 more pipe"]
    for each in first:
        os.close(each)
    assert left_since(before) == []
    for each in second:
        os.close(each)


def test_a_thread_is_seen() -> None:
    before, end = Held.now(NOWHERE), threading.Event()
    thread = threading.Thread(target=end.wait, args=(60,), name="left-1", daemon=True)
    thread.start()
    assert left_since(before) == ["1 more of thread left-"]
    end.set()
    thread.join()
    assert left_since(before) == []


def test_a_process_is_seen_until_somebody_waits_for_it() -> None:
    before = Held.now(NOWHERE)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert f"1 more processes, of [{process.pid}]" in left_since(before)
    process.communicate()
    assert left_since(before) == []


def test_shared_memory_is_seen_though_its_file_is_closed() -> None:
    before = Held.now(NOWHERE)
    file = os.memfd_create("left")
    os.truncate(file, 4096)
    with mmap.mmap(file, 4096):
        os.close(file)
        assert [each for each in left_since(before) if "mapped" in each] == ["1 more mapped /memfd:left (deleted)"]
    assert left_since(before) == []


def test_a_descriptor_that_stays_is_told() -> None:
    with ExitStack() as kept:
        with pytest.raises(AssertionError, match="closing what was opened"), none_left_open(seconds=0.05):
            kept.enter_context(open("/dev/null"))
        with none_left_open(more=1):
            kept.enter_context(open("/dev/null"))


def test_descriptors_of_earlier_garbage_are_closed_before_they_are_counted() -> None:
    before = settled_descriptors()
    ring: list[object] = [socket.socket()]
    ring.append(ring)
    assert open_descriptors() == before + 1
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        del ring
        assert settled_descriptors() == before

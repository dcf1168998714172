"""The bar of a job on a terminal: after a second, at once for a compilation, never elsewhere."""

from __future__ import annotations

import io
import os
import pty
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from pangea.compute.client.results import progress_bar
from pangea.compute.client.results.progress_bar import ProgressBar, is_wanted
from pangea.compute.model.progress import Progress


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal as standard error; what is written to it can be read."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with open(theirs, "w", closefd=False) as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        yield ours
    os.close(theirs)
    os.close(ours)


def shown(screen: int) -> str:
    os.set_blocking(screen, False)
    found = b""
    with suppress(BlockingIOError):
        while more := os.read(screen, 100_000):  # a terminal gives a few kilobytes at a time
            found += more
    return found.decode()


def test_a_bar_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch):
        assert is_wanted()
        with monkeypatch.context() as without_rich:
            without_rich.setattr(progress_bar, "find_spec", lambda _name: None)
            assert not is_wanted()
    for other in (None, io.StringIO()):
        monkeypatch.setattr(sys, "stderr", other)
        assert not is_wanted()


def test_a_bar_appears_after_a_second_and_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress_bar, "_AFTER_SECONDS", 1.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with terminal(monkeypatch) as screen:
        bar = ProgressBar()
        bar.update(Progress(phase="computing", chunks=3))
        assert shown(screen) == ""
        now[0] += 1.5
        bar.update(Progress(phase="computing \x1b[31m", chunks=1234, bytes_done=5, bytes_total=10))
        bar.close()
        bar.close()
        text = shown(screen)
    assert "1,234 chunks" in text
    assert "\\x1b[31m" in text


def test_a_compilation_is_shown_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as screen:
        bar = ProgressBar()
        bar.update(Progress(phase="compiling python"))
        bar.close()
        assert "compiling python" in shown(screen)

"""Processes that lose their parent and come to this one: it lets go of those that have ended, and of none of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from pangea.compute.engine import launch as launching

#: Becomes whoever inherits (as process 1 is), launches a child of its own that ends, and is left a grandchild that ends.
INHERITS = """
import ctypes, os, sys, tempfile, time
from pangea.compute.engine import launch as launching
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
own = launching.launch("os", "getcwd", (), (), tempfile.TemporaryFile())
while open(f"/proc/{own.pid}/stat").read().rpartition(")")[2].split()[0] != "Z":
    time.sleep(0.01)
middle = os.fork()
if not middle:
    if os.fork():
        os._exit(0)
    time.sleep(0.2)
    os._exit(3)
os.waitpid(middle, 0)
until, reaped = time.monotonic() + 20, 0
while not reaped and time.monotonic() < until:
    reaped = launching.reap_inherited()
    time.sleep(0.01)
print(reaped, launching.reap_inherited(), own.wait(5))
"""


def test_who_inherits_processes_reaps_them_and_waits_for_its_own_itself() -> None:
    done = subprocess.run([sys.executable, "-c", INHERITS], capture_output=True, timeout=60, check=False)
    assert (done.stdout.split(), done.stderr) == ([b"1", b"0", b"0"], b"")


def test_what_still_runs_is_left_alone() -> None:
    running = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])  # not launched by the engine
    try:
        assert launching.reap_inherited() == 0
        assert running.poll() is None
    finally:
        os.kill(running.pid, signal.SIGKILL)
        running.wait()

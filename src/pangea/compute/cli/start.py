"""What the `pangea` command runs first: from the first moment, Ctrl-C ends it without a traceback.

Importing the command line takes a few tenths of a second, in which the engine of a job starts already. An interrupt in the
middle would be nobody's to catch. Nor would the kernel's SIGKILL at the end of the CPU time that the shell allows: so we are told
shortly before.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from types import FrameType
from typing import NoReturn

from pangea.compute.cli.streams import install

_EXIT_INTERRUPTED, _EXIT_LIMIT = 130, 5
_OUT_OF_CPU = b"error LIMIT_EXCEEDED: %d s of CPU time are nearly used up (ulimit -t)\n  hint: ulimit -t unlimited\n"
#: Options of `run` with which another machine runs the job, or none.
_ELSEWHERE = {"--node", "--data-dir", "--engine", "--help", "-h"}
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> NoReturn:
    """Run the command line."""
    for number in _SIGNALS:
        signal.signal(number, _leave)
    install()
    _watch_cpu()
    warm_up(sys.argv[1:])
    from pangea.compute.cli.main import main as run

    run()


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(_EXIT_INTERRUPTED)  # a worker process that was begun dies with us


def warm_up(words: list[str]) -> None:
    """Begin to start the engine if this process is to run a job: to load the command line and the job takes as long."""
    is_run = words[:1] == ["run"] and len(words) > 1
    if is_run and not os.environ.get("PANGEA_NODE") and _ELSEWHERE.isdisjoint(word.partition("=")[0] for word in words):
        from pangea.compute.engine.engines import embedded

        embedded.begin()


def _watch_cpu() -> None:
    allowed = resource.getrlimit(resource.RLIMIT_CPU)[0]
    if allowed != resource.RLIM_INFINITY:
        signal.signal(signal.SIGPROF, _out_of_cpu)
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        signal.setitimer(signal.ITIMER_PROF, max(0.01, 0.9 * allowed - used))


def _out_of_cpu(_signal: int, _frame: FrameType | None) -> NoReturn:
    allowed = resource.getrlimit(resource.RLIMIT_CPU)[0]
    with contextlib.suppress(OSError):
        os.write(
            2, b"error LIMIT_EXCEEDED: %d s of CPU time are nearly used up (ulimit -t)\n  hint: ulimit -t unlimited\n" % allowed
        )
    os._exit(_EXIT_LIMIT)  # worker processes die with us

"""What the `pangea` command runs first: from the first moment, Ctrl-C ends it without a traceback.

Importing the command line takes a few tenths of a second; an interrupt in the middle would be nobody's to catch. Nor would the
kernel's SIGKILL at the end of the CPU time that the shell allows: so we are told shortly before.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import sys
from types import FrameType
from typing import NoReturn

from pangea.compute.cli.streams import install

_EXIT_SIGNAL, _EXIT_LIMIT = 128, 5
_OUT_OF_CPU = b"error LIMIT_EXCEEDED: %d s of CPU time are nearly used up (ulimit -t)\n  hint: ulimit -t unlimited\n"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> NoReturn:
    """Run the command line."""
    for number in _SIGNALS:
        signal.signal(number, _leave)
    install()
    _watch_cpu()
    gc.disable()  # modules are garbage to nobody: looking through them takes a tenth of the time that they take to load
    if _runs_here(sys.argv[1:]):
        from pangea.compute.engine.engines import embedded

        embedded.begin()
    from pangea.compute.cli.main import main as run

    gc.freeze()
    gc.enable()
    run()


def _runs_here(arguments: list[str]) -> bool:
    """Whether a job will run on this process's engine, as far as it shows at a glance: it starts while all else is loaded."""
    elsewhere = ("--node", "--data-dir", "--engine", "--help", "-h")
    return (
        arguments[:1] == ["run"]
        and not os.environ.get("PANGEA_NODE")
        and not any(each.startswith(elsewhere) for each in arguments)
    )


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(_EXIT_SIGNAL + number)  # a worker process that has been started ends with us


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

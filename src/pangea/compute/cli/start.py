"""What the `pangea` command runs first: from the first moment, Ctrl-C ends it without a traceback.

Importing the command line takes a few tenths of a second; an interrupt in the middle would be nobody's to catch.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

_EXIT_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> NoReturn:
    """Run the command line."""
    for number in _SIGNALS:
        signal.signal(number, _leave)
    from pangea.compute.cli.main import main as run

    run()


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    os.write(2, b"interrupted\n")
    os._exit(_EXIT_INTERRUPTED)  # nothing has been started that would have to be ended

"""Die at a chosen write: what crash tests set, and nothing else may.

`PANGEA_CRASH_AT=point:n` ends the process with SIGKILL the n-th time that write point is passed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

from pangea.compute.model.errors import ConfigError

VARIABLE = "PANGEA_CRASH_AT"


def crash_point(environ: Mapping[str, str]) -> Callable[[str], None] | None:
    """The hook for journal and blobs, or None when no crash is asked for.

    Raises:
        ConfigError: the variable isn't `point:n`.
    """
    text = environ.get(VARIABLE)
    if not text:
        return None
    point, _, number = text.partition(":")
    if not number.isdecimal() or int(number) < 1:
        raise ConfigError(f"{VARIABLE} is {text!r}; it must be a write point, a colon and a number from 1 on")
    left = int(number)

    def pass_point(passed: str) -> None:
        nonlocal left
        if passed == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return pass_point

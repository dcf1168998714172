"""Start a child of this Python that shares nothing: no environment, no open files but the given, no import path tricks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

_BOOT = "import sys; sys.path[:] = {path!r}; from {module} import {function}; {function}(*{arguments!r})"


def launch(
    module: str, function: str, arguments: Sequence[object], descriptors: Sequence[int], stderr: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Call `module.function(*arguments)` in a new process that keeps `descriptors` open.

    Args:
        module: full name of the module.
        function: a function of it.
        arguments: plain values, shown by `repr`.
        descriptors: open files that the child inherits under the same numbers.
        stderr: where its complaints go.
    """
    path = [os.path.abspath(entry or ".") for entry in sys.path]
    code = _BOOT.format(path=path, module=module, function=function, arguments=tuple(arguments))
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=stderr,
        stderr=stderr,
        env={},
        pass_fds=tuple(descriptors),
        start_new_session=True,  # Ctrl-C in a terminal reaches the whole foreground group
    )

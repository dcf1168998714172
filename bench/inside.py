"""The Python guest in this process, as it is for jobs: metered, NaNs canonical. For measuring what runs inside alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pangea.compute import runtime
from pangea.compute.engine import sandbox
from pangea.compute.model.limits import Limits

_FUEL = 10**13
_ANSWER_BYTES_MAX = 1 << 20


class Guest:
    """A guest that holds a module of Python with a function `execute`."""

    def __init__(self, source: str) -> None:
        """Compile the guest (15 seconds of CPU), start it and give it `source`."""
        limits = Limits(fuel=_FUEL, memory=1 << 30)
        code, _ = sandbox.check_and_compile(runtime.load(), limits, is_own=True)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "code")
            path.write_bytes(code)
            self._sandbox = sandbox.Sandbox(sandbox.CompiledModule.load(str(path), is_own=True), limits)
        self._call("init", source.encode())

    def _call(self, function: str, data: bytes) -> bytes:
        self._sandbox.refuel(_FUEL)
        self._sandbox.reserve(len(data))[:] = data
        return bytes(self._sandbox.call(function, _ANSWER_BYTES_MAX))

    def execute(self, chunk: bytes) -> bytes:
        """Call `execute`."""
        return self._call("execute", chunk)

"""The Python guest in this process, as it is for jobs: metered, NaNs canonical. For looking at what runs inside alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pangea.compute import runtime
from pangea.compute.engine import sandbox
from pangea.compute.model.limits import Limits

_ANSWER_BYTES_MAX = 16 << 20


class CompiledGuest:
    """The guest's machine code: 15 seconds of CPU, once."""

    def __init__(self, *, fuel: int = 10**13, memory: int = 1 << 30) -> None:
        """Compile it, for instances with so much fuel a call, and memory in bytes."""
        self.limits = Limits(fuel=fuel, memory=memory)
        code, _ = sandbox.check_and_compile(runtime.load(), self.limits, is_own=True)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "code")
            path.write_bytes(code)
            self.module = sandbox.CompiledModule.load(str(path), is_own=True)


class Guest:
    """An instance that holds a module of Python with a function `execute`."""

    def __init__(self, source: str, compiled: CompiledGuest | None = None) -> None:
        """Start it and give it `source`."""
        compiled = compiled or CompiledGuest()
        self._fuel = compiled.limits.fuel
        self._sandbox = sandbox.Sandbox(compiled.module, compiled.limits)
        self._call("init", source.encode())

    def _call(self, function: str, data: bytes) -> bytes:
        self._sandbox.refuel(self._fuel)
        self._sandbox.reserve(len(data))[:] = data
        return bytes(self._sandbox.call(function, _ANSWER_BYTES_MAX))

    def execute(self, chunk: bytes) -> bytes:
        """Call `execute`.

        Raises:
            SandboxError: it failed, or ended the sandbox.
        """
        return self._call("execute", chunk)

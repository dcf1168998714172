"""A process that checks modules one after the other, so that a crash of the compiler is seen as one."""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import BinaryIO

from pangea.compute.engine import sandbox
from pangea.compute.engine.launch import _BOOT
from pangea.compute.model.limits import Limits


def main() -> None:
    """Read modules from stdin, write verdicts to stdout: "" for a good one, else kind and message."""
    while len(size := sys.stdin.buffer.read(4)) == 4:
        verdict = ""
        try:
            sandbox.check_and_compile(sys.stdin.buffer.read(struct.unpack("<I", size)[0]), Limits())
        except sandbox.SandboxError as error:
            verdict = f"{error.failure.kind.name} {error.failure.message}".replace("\n", " ")
        sys.stdout.buffer.write(verdict.encode() + b"\n")
        sys.stdout.buffer.flush()


class Checker:
    """The process, from outside."""

    def __init__(self) -> None:
        code = _BOOT.format(path=sys.path, module=__name__, function="main", arguments=())
        self._process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin
        assert self._process.stdout
        self._to: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self._from: BinaryIO = self._process.stdout  # type: ignore[assignment]

    def verdict(self, wasm: bytes | bytearray) -> str:
        """What the check says to `wasm`; an assertion fails when the process doesn't survive it."""
        self._to.write(struct.pack("<I", len(wasm)) + wasm)
        self._to.flush()
        line = self._from.readline()
        assert line.endswith(b"\n"), f"the checker ended with {self._process.wait(50)} over {wasm.hex()}"
        return line.decode().rstrip("\n")

    def close(self) -> None:
        """End the process."""
        self._to.close()
        self._process.wait(50)
        self._from.close()

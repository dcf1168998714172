"""The child process that compiles one module: hostile bytes meet the compiler here, under limits, and nowhere else."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any

from pangea.compute.engine import jail, sandbox
from pangea.compute.model.limits import Limits
from pangea.compute.model.units import GIB

_OUTPUT_BYTES_MAX = GIB


def main(source: int, target: int, answer: int, parent: int, limits: dict[str, Any], is_own: bool) -> None:
    """Compile the module in file `source` into file `target`, and write the answer (JSON) to file `answer`."""
    allowed = Limits(**limits)
    jail.enter_compiler(parent, allowed.compile_memory, allowed.compile_time, _OUTPUT_BYTES_MAX)
    size = os.fstat(source).st_size
    wasm = os.pread(source, size, 0) if size else b""
    said: dict[str, Any]
    try:
        code, exports = sandbox.check_and_compile(wasm, allowed, is_own=is_own)
        with os.fdopen(os.dup(target), "wb") as file:
            file.write(code)
        said = {"exports": exports}
    except sandbox.SandboxError as error:
        said = {"failure": asdict(error.failure)}
    except OSError as error:  # no room for the code
        said = {"error": error.strerror or str(error)}
    os.pwrite(answer, json.dumps(said).encode(), 0)

"""Compile a source to a job, and look at what came of it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pangea.compute.engine.engines import embedded
from pangea.compute.engine.prepared import prepare
from pangea.compute.guests.closing import closed
from pangea.compute.guests.toolchains import Toolchain, toolchain_of
from pangea.compute.inputs.missing import hint_of_missing
from pangea.compute.model.errors import BadModuleError, InputError, JobDefinitionError, NotDoneError, OutputError
from pangea.compute.model.limits import Limits

#: The first build also compiles the language's own library.
COMPILE_SECONDS = 600.0
_TOLD_LINES_MAX = 40


@dataclass(frozen=True)
class Built:
    """A module that was built.

    Attributes:
        wasm: it.
        language: of its source.
        functions: of a job, that it has: execute, and split and merge if there are.
    """

    wasm: bytes
    language: str
    functions: tuple[str, ...]


def build(source: Path) -> Built:
    """Compile `source`, and check that a sandbox takes the module.

    Raises:
        InputError: there is no such file, or no compiler is known for its ending.
        UnavailableError: the compiler isn't installed.
        JobDefinitionError: it doesn't compile; the compiler's own words are in it.
        NotDoneError: the compiler takes longer than ten minutes.
        BadModuleError: the module isn't of guest ABI 1.
    """
    toolchain = toolchain_of(source)
    if not source.is_file():
        hint = "" if source.exists() else hint_of_missing(source, "check the path")
        raise InputError(f"{source} is no file", hint=hint)
    with tempfile.TemporaryDirectory(prefix="pangea-build-") as folder:
        wasm = _compiled(toolchain, source, Path(folder) / "module.wasm")
    return Built(wasm, toolchain.language, _functions_of(wasm, source))


def write(built: Built, target: Path) -> None:
    """Write the module to a file, whole or not at all.

    Raises:
        OutputError: it can't be written.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}-", delete=False) as file:
            file.write(built.wasm)
        Path(file.name).replace(target)
        target.chmod(0o644)
    except OSError as error:
        raise OutputError(f"{target} can't be written: {(error.strerror or str(error)).lower()}") from error


def _compiled(toolchain: Toolchain, source: Path, target: Path) -> bytes:
    command = toolchain.compile_command(source.absolute(), target)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMPILE_SECONDS,
            check=False,
            env={**os.environ, **toolchain.environment},
        )
    except subprocess.TimeoutExpired as error:
        raise NotDoneError(f"compiling {source} takes longer than {COMPILE_SECONDS:g} s") from error
    if done.returncode or not target.is_file():
        said = (done.stderr or done.stdout).strip().splitlines()
        more = [f"… and {len(said) - _TOLD_LINES_MAX:,} lines more"] if len(said) > _TOLD_LINES_MAX else []
        text = "\n".join([*said[:_TOLD_LINES_MAX], *more])
        raise JobDefinitionError(f"{source} doesn't compile as {toolchain.language}:\n{text}")
    return closed(target.read_bytes())


def _functions_of(wasm: bytes, source: Path) -> tuple[str, ...]:
    engine, _ = embedded.engine()
    try:
        job = prepare(wasm, Limits(), engine, lambda _what: None, name=source.name, associative=False)
    except BadModuleError as error:
        raise BadModuleError(
            f"{source} compiles, but to no job: {error.message}", hint=error.hint or "docs/modules.md says what one exports"
        ) from error
    return tuple(name for name, has in (("split", job.has_split), ("execute", True), ("merge", job.has_merge)) if has)

"""An execute that is a shader: from what the decorator says to the program that travels."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pangea.compute.capture.functions import name_of, place_of
from pangea.compute.model import frames
from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.gpu import GpuProgram
from pangea.compute.model.kinds import Declared
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, Finished
from pangea.compute.model.tolerance import Tolerance
from pangea.compute.model.wgsl import SOURCE_CHARACTERS_MAX

#: Of `Job.execute`, beside input and output.
OPTIONS = ("gpu", "entry", "workgroup", "turns", "tolerance")
_SUFFIX = ".wgsl"
#: What an empty body, or one with nothing but a text, is compiled to.
_EMPTY = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "CACHE"}


def shader_of(function: Callable[..., Any], declared: Declared, options: Mapping[str, Any]) -> GpuProgram | None:
    """The program that the options of an execute function name; None if it has no shader.

    Raises:
        JobDefinitionError: options don't fit together, the file can't be read, the function has a body of its own, or the shader
            isn't one that gives the same bytes on every adapter.
    """
    if "gpu" not in options:
        for name in options:
            raise JobDefinitionError(f"execute is declared {name}= without a shader", hint="name one with gpu=", option=name)
        return None
    _check_empty(function)
    given: dict[str, Any] = {
        name: value for name, value in (("input", declared.input), ("output", declared.output)) if value is not None
    }
    given |= {name: options[name] for name in ("entry", "workgroup", "turns") if name in options}
    if "tolerance" in options:
        given["tolerance"] = Tolerance.of(options["tolerance"])
    return GpuProgram(_text_of(options["gpu"], function), **given)


def on_adapter(program: GpuProgram, limits: Limits, name: str) -> Callable[[bytes], bytes]:
    """What executes a chunk of job `name` on this machine's adapter, in the jailed process of the warm engine.

    Raises:
        NoAdapterError: there is none, or none may be used; says what to install.
        BadModuleError: the compiler refuses the shader.
    """
    from pangea.compute.engine.engines import embedded
    from pangea.compute.engine.failures import error_of
    from pangea.compute.engine.prepared import prepare_shader
    from pangea.compute.engine.task import Task

    engine, _ = embedded.engine()
    guest = prepare_shader(program, limits.with_fuel_for(python=True), engine, name)

    def execute(chunk: bytes) -> bytes:
        parts = [frames.header(1), frames.entry_header(len(chunk)), chunk]
        outcome = engine.submit(Task(guest, "execute", 1, parts)).result()
        if isinstance(outcome, Failure):
            raise error_of(outcome, function="execute", chunk_index=None)
        assert isinstance(outcome, Finished), outcome
        return bytes(next(frames.unpack(outcome.results)))

    return execute


def _text_of(named: Any, function: Callable[..., Any]) -> str:
    """The shader's text: itself, or a file's, from the folder of the job's file on."""
    if not isinstance(named, str | Path):
        raise JobDefinitionError(f"gpu= names a file or is WGSL, not {type(named).__name__}", option="gpu")
    if isinstance(named, str) and ("\n" in named or not named.endswith(_SUFFIX)):
        return named
    code = getattr(inspect.unwrap(function), "__code__", None)
    file = (Path(code.co_filename).parent if code is not None else Path()) / named
    try:
        with open(file, encoding="utf-8", newline="") as opened:
            return opened.read(SOURCE_CHARACTERS_MAX + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it isn't UTF-8"
        raise JobDefinitionError(
            f"the shader {named} of {name_of(function)} can't be read: {reason}",
            hint=f"a path is taken from the job's file on ({file})",
            option="gpu",
        ) from error


def _check_empty(function: Callable[..., Any]) -> None:
    """Refuse a function that would do something: the shader runs in its place."""
    code = getattr(function, "__code__", None)
    steps = list(dis.get_instructions(code)) if code is not None else []
    returned = [step.argval for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST")]
    if code is None or not {step.opname for step in steps} <= _EMPTY or returned[-1:] != [None]:
        raise JobDefinitionError(
            f"{name_of(function)} ({place_of(function)}) has a body, which would never run: the shader runs in its place",
            hint="write `...`, or what it does as a text, for a body",
            option="gpu",
        )

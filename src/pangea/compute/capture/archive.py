"""Write a job archive: a zip with `job.json`, `graph.json`, `job.py` and `lib/`. Equal jobs give equal bytes.

`graph.json` is what the functions reach; `job.py` the text of their code, statement by statement; `lib/` the packages. `runtime.
guest.graph` is the reader. Where execute is a kernel, it isn't among them: `execute.wasm` is its module.
"""

from __future__ import annotations

import hashlib
import io
import sys
import types
import zipfile
from collections.abc import Mapping
from json.encoder import JSONEncoder
from typing import Any

from pangea.compute.capture import left_out, modules, surroundings
from pangea.compute.capture.changes import take_changes
from pangea.compute.capture.classes import take_subclasses
from pangea.compute.capture.describe import describe
from pangea.compute.capture.functions import name_of, place_of
from pangea.compute.capture.homes import Homes
from pangea.compute.capture.package_state import take_package_state
from pangea.compute.capture.packages import ARCHIVE_BYTES_MAX, too_large
from pangea.compute.capture.patches import take_patches
from pangea.compute.capture.registrations import take_registrations
from pangea.compute.capture.settings import settings
from pangea.compute.capture.walk import Step, Walk
from pangea.compute.model.errors import JobDefinitionError, JobDefinitionWarning
from pangea.compute.model.gpu import SHADER_NAME
from pangea.compute.model.plain_json import dumps_as_is
from pangea.compute.model.warn import warn_caller
from pangea.compute.runtime import sha256

ABI = 1
#: Of the archive: 2 is a graph; 1 was text that is executed.
FORMAT = 2
#: The earliest time a zip can hold.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
#: The module of a kernel that is the job's execute.
KERNEL = "execute.wasm"
#: The archive of the job's own check.
CHECKER = "check.zip"
_ROLES = ("split", "execute", "merge")
_BYTES = ("bytes", "bytes")


def build_archive(
    functions: Mapping[str, Any],
    kinds: Mapping[str, tuple[str, str]],
    *,
    kernel: bytes | None = None,
    shader: tuple[dict[str, Any], str] | None = None,
    checker: bytes | None = None,
) -> bytes:
    """The archive of a job.

    Args:
        functions: role to function; execute is there, unless there is a kernel or a shader.
        kinds: what each takes and returns. If that is bytes throughout, the archive says nothing of it.
        kernel: a module of guest ABI 1 whose execute is the job's.
        checker: the archive of a job whose execute is a call of this one's own check.
        shader: what is run as its execute: the declaration of `model.gpu.GpuProgram`, and the text.

    Raises:
        JobDefinitionError: something that the functions use can't travel.

    Warns:
        JobDefinitionWarning: the functions may reach something by a way that can't be followed.
    """
    walk, entry = _walked(functions)
    for text in walk.warnings:
        warn_caller(text, JobDefinitionWarning)
    graph, text = _written(walk, entry)
    packages = walk.homes.packages
    description: dict[str, Any] = {
        "abi": ABI,
        "format": FORMAT,
        "kind": "python",
        "runtime": sha256(),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "entry": {role: name_of(functions[role]) for role in entry},
    }
    if any(each != _BYTES for each in kinds.values()):
        description["kinds"] = {role: list(kinds[role]) for role in entry}
    if kernel is not None:
        description["kernels"] = {"execute": hashlib.sha256(kernel).hexdigest()}
    if shader is not None:
        description["gpu"] = shader[0]
    if checker is not None:
        description["check"] = hashlib.sha256(checker).hexdigest()
    if packages.stand_ins:
        description["stand_ins"] = sorted(packages.stand_ins)
    if packages.left_out:
        description["left_out"] = packages.left_out
    files = {"job.json": _json(description, indent=1), "graph.json": _json(graph), "job.py": text.encode()}
    if kernel is not None:
        files[KERNEL] = kernel
    if checker is not None:
        files[CHECKER] = checker
    if shader is not None:
        files[SHADER_NAME] = shader[1].encode()
    return _zip(files | {f"lib/{name}": content for name, content in packages.files.items()})


def _walked(functions: Mapping[str, Any]) -> tuple[Walk, dict[str, Any]]:
    """The graph of the functions, and where in it they are; if it can't be whole, less methods that aren't called."""
    try:
        return _walk(functions, is_lenient=False)
    except JobDefinitionError as error:
        try:
            walk, entry = _walk(functions, is_lenient=True)
        except JobDefinitionError:
            raise error from error.__cause__
        if (called := left_out.refusal(walk)) is not None:
            raise called from None
        return walk, entry


def _walk(functions: Mapping[str, Any], *, is_lenient: bool) -> tuple[Walk, dict[str, Any]]:
    walk = Walk(Homes(frozenset(_modules_of(functions))), describe, is_lenient=is_lenient)
    entry = {role: walk.enter(functions[role], _role(role, functions[role])) for role in _ROLES if role in functions}
    walk.run()
    while (
        modules.take_escaped(walk)
        or take_subclasses(walk)
        or take_patches(walk)
        or take_changes(walk)
        or take_registrations(walk)
        or take_package_state(walk)
        or walk.homes.packages.take_optional()
    ):
        walk.run()
    walk.homes.packages.take_beside()
    walk.share()
    surroundings.look_at_tracebacks(walk)
    return walk, entry


def _modules_of(functions: Mapping[str, Any]) -> set[str]:
    """The modules of the job's functions: their text travels, wherever they lie."""
    found = set()
    for function in functions.values():
        plain = function
        while hasattr(plain, "__wrapped__"):
            plain = plain.__wrapped__
        if isinstance(plain, types.FunctionType):
            found.add(str(plain.__globals__.get("__name__", "__main__")))
    return found - sys.stdlib_module_names


def _role(role: str, function: Any) -> Step:
    return Step(-1, "role", f"the job's {role} {name_of(function)} ({place_of(function)})")


def _written(walk: Walk, entry: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The graph as JSON, and the text of `job.py`."""
    parts, line, statements = [], 1, []
    for statement, file in walk.statements:
        parts.append(f"# {dumps_as_is(file)[1:-1]}, line {statement.line}\n{statement.text}\n")
        count = statement.text.count("\n")
        statements.append([line + 1, count, file, statement.line, statement.flags, statement.optimize])
        line += count + 2
    spaces = [
        [space.name, space.is_library, space.is_registered, _package_of(space.values), dict(sorted(space.names.items()))]
        for space in walk.namespaces
    ]
    graph = {
        "entry": dict(entry),
        "settings": settings(walk.zones, walk.libraries),
        "imports": sorted(walk.imports),
        "spaces": spaces,
        "statements": statements,
        "codes": walk.codes,
        "nodes": walk.records,
    }
    if walk.patches:
        graph["patches"] = [[*place, written] for place, written in sorted(walk.patches.items())]
    if walk.updates:
        graph["updates"] = [[*place, *written] for place, written in sorted(walk.updates.items())]
    if walk.calls:
        graph["calls"] = [[*place[:2], written] for place, written in sorted(walk.calls.items())]
    return graph, "".join(parts)


def _package_of(values: Mapping[str, Any]) -> list[Any]:
    """What relative imports start from: the package's name, and whether the module is a package."""
    package = values.get("__package__")
    return [package if isinstance(package, str) else None, "__path__" in values]


def _json(value: Any, indent: int | None = None) -> bytes:
    separators = (",", ":" if indent is None else ": ")
    encoder = JSONEncoder(indent=indent, separators=separators, allow_nan=False)  # programs replace `json.dumps`
    return encoder.encode(value).encode() + b"\n"


def _zip(files: Mapping[str, bytes]) -> bytes:
    if (size := sum(map(len, files.values()))) > ARCHIVE_BYTES_MAX:
        raise too_large(size, "together")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            about = zipfile.ZipInfo(name, _EPOCH)
            about.create_system = 3
            about.external_attr = _REGULAR_FILE
            archive.writestr(about, files[name])
    return buffer.getvalue()

"""Turn a job's bytes into the three functions: plain source, or a job archive (zip).

An archive holds `job.json`, `job.py` and, under `lib/`, the pure-Python packages that the job imports. `job.json` says which
lines of `job.py` came from which of the user's files, so that a traceback names the user's own file and line, and what the
functions take and return, if that isn't bytes.
"""

from __future__ import annotations

import io
import json
import linecache
import marshal
import sys
import types
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from pangea.compute.runtime.guest.library import MemoryFinder, Source
from pangea.compute.runtime.guest.typed import typed

FUNCTIONS = ("split", "execute", "merge")
_SOURCE_NAME = "job.py"
_BYTES = ("bytes", "bytes")


@dataclass(frozen=True)
class LoadedJob:
    """The functions of a job, by their role."""

    functions: dict[str, Callable[..., object]] = field(default_factory=dict)

    def function(self, role: str) -> Callable[..., object]:
        """The function for `role`.

        Raises:
            LookupError: the job has none.
        """
        try:
            return self.functions[role]
        except KeyError:
            raise LookupError(f"the job has no {role} function") from None


def load(code: bytes, packages: MemoryFinder) -> LoadedJob:
    """Load a job from source or from an archive; its packages go to `packages`."""
    if code[:2] != b"PK":
        return _load_source(code)
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        description = json.loads(archive.read("job.json"))
        for name in archive.namelist():
            if name.startswith("lib/") and name.endswith(".py"):
                module, source = _package(name.removeprefix("lib/"), archive.read(name))
                packages.library[module] = source
        text = archive.read(_SOURCE_NAME).decode()
    return _load_fragments(text, description)


def _package(name: str, text: bytes) -> tuple[str, Source]:
    is_package = name.endswith("__init__.py")
    module = name.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
    remember(name, text.decode("utf-8", "replace").splitlines(keepends=True), 1)
    code = compile(text, name, "exec", dont_inherit=True)
    return module, (is_package, zlib.compress(marshal.dumps(code), 0))


def _load_source(code: bytes) -> LoadedJob:
    remember(_SOURCE_NAME, code.decode("utf-8", "replace").splitlines(keepends=True), 1)
    module = _new_module("job")
    exec(compile(code, _SOURCE_NAME, "exec", dont_inherit=True), module.__dict__)
    return LoadedJob({role: vars(module)[role] for role in FUNCTIONS if role in vars(module)})


def _load_fragments(text: str, description: dict[str, object]) -> LoadedJob:
    module = _new_module(str(description.get("module", "job")))
    lines = text.splitlines(keepends=True)
    fragments = description.get("fragments", [{"line": 1, "count": len(lines), "file": _SOURCE_NAME, "origin": 1}])
    assert isinstance(fragments, list)
    for fragment in fragments:
        start = fragment["line"] - 1
        body = lines[start : start + fragment["count"]]
        remember(fragment["file"], body, fragment["origin"])
        # Empty lines in front put each statement on its own line number of the user's file.
        source = "\n" * (fragment["origin"] - 1) + "".join(body)
        if fragment.get("indented"):
            source = "\n" * (fragment["origin"] - 2) + "if True:\n" + "".join(body)
        exec(compile(source, fragment["file"], "exec", dont_inherit=True), module.__dict__)
    entry, kinds = description.get("entry", {}), description.get("kinds", {})
    assert isinstance(entry, dict)
    assert isinstance(kinds, dict)
    return LoadedJob({role: typed(role, vars(module)[name], kinds.get(role, _BYTES)) for role, name in entry.items()})


def _new_module(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    sys.modules[name] = sys.modules["__main__"] = module
    return module


def remember(file: str, lines: list[str], origin: int) -> None:
    """Let tracebacks quote `lines` as lines `origin` and on of `file`."""
    known = linecache.cache.get(file)
    kept = list(known[2]) if known and len(known) == 4 else []
    kept += ["\n"] * (origin - 1 + len(lines) - len(kept))
    kept[origin - 1 : origin - 1 + len(lines)] = lines
    linecache.cache[file] = (sum(map(len, kept)), None, kept, file)

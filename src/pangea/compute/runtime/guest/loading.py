"""Turn a job's bytes into the three functions: plain source, or a job archive (zip).

An archive holds `job.json`, which says what the functions take and return, if that isn't bytes; `graph.json`, what they reach;
`job.py`, the text of their code; and, under `lib/`, the pure-Python packages that the job imports, with their files.
"""

from __future__ import annotations

import io
import json
import sys
import types
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

from pangea.compute.runtime.guest.graph.load import rebuild
from pangea.compute.runtime.guest.graph.remembering import remember
from pangea.compute.runtime.guest.packages import PackageFinder, StandIns
from pangea.compute.runtime.guest.typed import typed

FUNCTIONS = ("split", "execute", "merge")
_SOURCE_NAME = "job.py"
_BYTES = ("bytes", "bytes")


@dataclass(frozen=True)
class LoadedJob:
    """The functions of a job, by their role."""

    functions: dict[str, Callable[..., object]] = field(default_factory=dict)
    #: What lives as long as the functions.
    kept: list[object] = field(default_factory=list)

    def function(self, role: str) -> Callable[..., object]:
        """The function for `role`.

        Raises:
            LookupError: the job has none.
        """
        try:
            return self.functions[role]
        except KeyError:
            raise LookupError(f"the job has no {role} function") from None


def load(code: bytes, packages: PackageFinder, stand_ins: StandIns) -> LoadedJob:
    """Load a job from source or from an archive; its packages go to `packages`, which read it while the job runs."""
    if code[:2] != b"PK":
        return _load_source(code)
    archive = zipfile.ZipFile(io.BytesIO(code))
    about = json.loads(archive.read("job.json"))
    packages.fill(archive, about.get("left_out", ()))
    stand_ins.names = frozenset(about.get("stand_ins", ()))
    functions, kept = rebuild(archive, packages)
    kinds = about.get("kinds", {})
    return LoadedJob({role: typed(role, function, kinds.get(role, _BYTES)) for role, function in functions.items()}, kept)


def _load_source(code: bytes) -> LoadedJob:
    remember(_SOURCE_NAME, code.decode("utf-8", "replace").splitlines(keepends=True), 1)
    module = _new_module("job")
    exec(compile(code, _SOURCE_NAME, "exec", dont_inherit=True), module.__dict__)
    return LoadedJob({role: vars(module)[role] for role in FUNCTIONS if role in vars(module)})


def _new_module(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    sys.modules[name] = sys.modules["__main__"] = module
    return module

"""Build a kernel: its module, checked, from the cache if it was built before.

What it is kept under is the function with all that it reaches, as a job would ship it, its signature, its samples, and the
versions of what it is made with. A function that no job could ship is built each time.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pangea.compute.capture.archive import build_archive
from pangea.compute.capture.functions import name_of
from pangea.compute.engine.cache import open_folder
from pangea.compute.engine.cache_folder import keep_within
from pangea.compute.engine.files import new_file
from pangea.compute.kernels.backend import SDK, SOURCES, module, versions
from pangea.compute.kernels.checking import check
from pangea.compute.kernels.frontend import lowered
from pangea.compute.model.errors import JobDefinitionError, JobDefinitionWarning, UnavailableError
from pangea.compute.model.signatures import KernelSignature
from pangea.compute.model.units import MIB

_CACHE_BYTES_MAX = 256 * MIB
_BYTES = {"execute": ("bytes", "bytes")}


def build(function: Callable[..., Any], signature: KernelSignature, own: Sequence[Any] = ()) -> bytes:
    """The module of a kernel, whose results were compared with native Numba's.

    Args:
        function: plain Python.
        signature: its types.
        own: sample arguments, tried before ours.

    Raises:
        UnavailableError: Numba, zig or NumPy isn't installed, or the cache folder can't be written.
        JobDefinitionError: it can't be compiled, uses what a module doesn't have, or differs from native Numba.
    """
    if (key := _key(function, signature, own)) is None:
        return _built(function, signature, own)
    folder = open_folder(open_folder() / "kernels")
    if (kept := _kept(folder, key)) is None:
        kept = _built(function, signature, own)
        _keep(folder, key, kept)
    return kept


def _built(function: Callable[..., Any], signature: KernelSignature, own: Sequence[Any]) -> bytes:
    wasm = module(lowered(function, signature), signature, name_of(function))
    check(wasm, function, signature, own)
    return wasm


def _key(function: Callable[..., Any], signature: KernelSignature, own: Sequence[Any]) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", JobDefinitionWarning)
            archive = build_archive({"execute": function}, _BYTES)
    except (JobDefinitionError, JobDefinitionWarning):
        return None
    sources = b"".join((SDK / name).read_bytes() for name in SOURCES)
    what = [
        str(signature),
        versions(),
        list(sys.version_info[:2]),
        [hashlib.sha256(each).hexdigest() for each in (archive, sources)],
    ]
    return hashlib.sha256(json.dumps(what).encode() + pickle.dumps(list(own))).hexdigest()


def _kept(folder: Path, key: str) -> bytes | None:
    try:
        wasm = (folder / f"{key}.code").read_bytes()
        description = json.loads((folder / f"{key}.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    is_whole = isinstance(description, dict) and description.get("sha256") == hashlib.sha256(wasm).hexdigest()
    return wasm if is_whole else None


def _keep(folder: Path, key: str, wasm: bytes) -> None:
    try:
        with new_file(folder / f"{key}.code", 0o600) as file:
            file.write(wasm)
        with new_file(folder / f"{key}.json", 0o600) as file:
            file.write(json.dumps({"sha256": hashlib.sha256(wasm).hexdigest()}).encode())
        keep_within(folder, _CACHE_BYTES_MAX, keep=key)
    except OSError as error:
        raise UnavailableError(
            f"a kernel can't be written to {folder}: {error.strerror or error}",
            hint="free some space, or set PANGEA_CACHE_DIR to a folder with room",
        ) from error

"""The pinned Python guest: `python-runtime.wasm`, an import-free core module, as package data.

`guest` runs inside it, `build` makes it. Nothing here starts a sandbox but the build, and no engine is known.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from functools import cache
from pathlib import Path

from pangea.compute.model.errors import UnavailableError

_FOLDER = Path(__file__).parent


@cache
def sha256() -> str:
    """The pinned SHA-256 of the module, in hex."""
    return str(json.loads((_FOLDER / "python-runtime.json").read_text())["sha256"])


def load() -> bytes:
    """Unpack the module (about half a second).

    Raises:
        UnavailableError: the package data is damaged: the bytes don't have the pinned hash.
    """
    try:
        module = lzma.decompress((_FOLDER / "python-runtime.wasm.xz").read_bytes())
    except lzma.LZMAError as error:
        raise _damaged(str(error)) from error
    if (found := hashlib.sha256(module).hexdigest()) != sha256():
        raise _damaged(f"its SHA-256 is {found}, pinned is {sha256()}")
    return module


def _damaged(reason: str) -> UnavailableError:
    return UnavailableError(f"python-runtime.wasm.xz is damaged: {reason}", hint="install pangea-compute again")

"""Job archives with a kernel that lies: about its module, or about its size."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from pangea.compute import runtime
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import prepare
from pangea.compute.errors import BadModuleError
from pangea.compute.model.limits import Limits
from pangea.compute.model.units import MODULE_BYTES_MAX


def archive(kernels: Any, wasm: bytes | None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("job.json", json.dumps({"runtime": runtime.sha256(), "entry": {}, "kernels": kernels}))
        if wasm is not None:
            files.writestr("execute.wasm", wasm)
    return file.getvalue()


def named(wasm: bytes) -> dict[str, str]:
    return {"execute": hashlib.sha256(wasm).hexdigest()}


BOMB = bytes(MODULE_BYTES_MAX + 1)


@pytest.mark.parametrize(
    ("kernels", "wasm"),
    [(named(b"a"), b"b"), (named(b"a"), None), ({}, b"a"), ("execute", b"a"), (None, b"a"), (named(BOMB), BOMB)],
    ids=["another module", "no module", "no name", "text", "nothing", "bomb"],
)
def test_an_archive_whose_kernel_is_not_what_it_says_is_refused_unread(kernels: Any, wasm: bytes | None, engine: Engine) -> None:
    with pytest.raises(BadModuleError, match="the job archive can't be read"):
        prepare(archive(kernels, wasm), Limits(), engine, lambda _what: None, name="liar", associative=False)


def test_a_kernel_that_is_no_module_is_refused_by_the_compiler(engine: Engine) -> None:
    with pytest.raises(BadModuleError, match="not WebAssembly"):
        prepare(archive(named(b"a"), b"a"), Limits(), engine, lambda _what: None, name="liar", associative=False)

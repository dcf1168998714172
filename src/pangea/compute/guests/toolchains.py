"""Which compiler makes a guest of which source, and with what it is called."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from pangea.compute.model.errors import InputError, UnavailableError
from pangea.compute.model.limits import nearest

#: Headers and sources that guests are built with.
SDK = Path(__file__).with_name("sdk")
_ZIG = "pip install 'pangea-compute[build]'"
_CLANG = ("-target", "wasm32-wasi", "-mexec-model=reactor", "-O3", "-s", "-I", str(SDK))
_RUST_TARGET = "wasm32-unknown-unknown"
_RUST = ("--target", _RUST_TARGET, "--crate-type", "cdylib", "-O", "-C", "strip=symbols", "-C", "panic=abort")
#: A reactor, of the one source and whatever its folder's go.mod names; the toolchain is the one that is here.
_GO = ("-buildmode=c-shared", "-trimpath", "-ldflags=-s -w")
_GO_TARGET = {"GOOS": "wasip1", "GOARCH": "wasm", "GOTOOLCHAIN": "local"}
_ASSEMBLYSCRIPT = ("-O3", "--runtime", "minimal", "--use", "abort=")
_ZIG_FLAGS = ("-fno-entry", "-rdynamic", "-fstrip", "-target", "wasm32-freestanding", "-O", "ReleaseFast")


@dataclass(frozen=True)
class Toolchain:
    """A language's compiler.

    Attributes:
        language: its name.
        endings: of its sources.
        program: what runs it; None if it isn't there.
        command: what compiles a source into a module.
        remedy: the command that gets it.
        environment: variables that it is to have beside this process's.
    """

    language: str
    endings: tuple[str, ...]
    program: Callable[[], Sequence[str] | None]
    command: Callable[[Path, Path], Sequence[str]]
    remedy: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def compile_command(self, source: Path, target: Path) -> list[str]:
        """The whole command.

        Raises:
            UnavailableError: the compiler isn't installed.
        """
        program = self.program()
        if program is None:
            raise UnavailableError(f"{source} is {self.language}, and its compiler isn't installed", hint=self.remedy)
        return [*program, *self.command(source, target)]


def _zig(*words: str) -> Callable[[], Sequence[str] | None]:
    return lambda: [sys.executable, "-m", "ziglang", *words] if find_spec("ziglang") else None


def _on_path(name: str) -> Callable[[], Sequence[str] | None]:
    return lambda: [found] if (found := shutil.which(name)) else None


def _go() -> Sequence[str] | None:
    """The one on the path, else the package's beside this interpreter."""
    found = shutil.which("go") or shutil.which("go", path=str(Path(sys.executable).parent))
    return [found] if found else None


def _rustc() -> Sequence[str] | None:
    """Only where it has the target's library, too."""
    found = shutil.which("rustc")
    if found is None:
        return None
    command = [found, "--print", "target-libdir", "--target", _RUST_TARGET]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return [found] if asked.returncode == 0 and Path(asked.stdout.strip()).is_dir() else None


def _c(source: Path, target: Path) -> Sequence[str]:
    return [*_CLANG, "-o", str(target), str(source), str(SDK / "closed_wasi.c")]


def _cpp(source: Path, target: Path) -> Sequence[str]:
    return [*_CLANG, "-fno-exceptions", "-o", str(target), str(source), "-x", "c", str(SDK / "closed_wasi.c")]


def _zig_source(source: Path, target: Path) -> Sequence[str]:
    modules = ["--dep", "pangea_guest", f"-Mroot={source}", f"-Mpangea_guest={SDK / 'pangea_guest.zig'}"]
    return [*_ZIG_FLAGS, *modules, f"-femit-bin={target}"]


def _rust(source: Path, target: Path) -> Sequence[str]:
    return [*_RUST, "-o", str(target), str(source)]


def _assemblyscript(source: Path, target: Path) -> Sequence[str]:
    return [str(source), *_ASSEMBLYSCRIPT, "--outFile", str(target)]


def _go_source(source: Path, target: Path) -> Sequence[str]:
    return ["build", "-C", str(source.parent), *_GO, "-o", str(target), source.name]


TOOLCHAINS = (
    Toolchain("C", (".c",), _zig("cc"), _c, _ZIG),
    Toolchain("C++", (".cpp", ".cc", ".cxx"), _zig("c++"), _cpp, _ZIG),
    Toolchain("Zig", (".zig",), _zig("build-exe"), _zig_source, _ZIG),
    Toolchain("Rust", (".rs",), _rustc, _rust, f"rustup target add {_RUST_TARGET}"),
    Toolchain("Go", (".go",), _go, _go_source, "pip install 'pangea-compute[go]'", _GO_TARGET),
    Toolchain("AssemblyScript", (".ts",), _on_path("asc"), _assemblyscript, "npm install --global assemblyscript"),
)


def toolchain_of(source: Path) -> Toolchain:
    """The one for this file, by its ending.

    Raises:
        InputError: none is known.
    """
    endings = {ending: each for each in TOOLCHAINS for ending in each.endings}
    if source.suffix in endings:
        return endings[source.suffix]
    known = ", ".join(f"{each.language} ({', '.join(each.endings)})" for each in TOOLCHAINS)
    meant = nearest(source.suffix, [*endings])
    raise InputError(
        f"{source}: no compiler is known for {source.suffix or 'a file without an ending'}; there are {known}",
        hint=f"did you mean {meant}?" if meant else "",
    )

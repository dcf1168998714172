"""Native Numba, as what a module is compared with, and as how a kernel runs in the author's own process.

It is what `numba.njit` gives for the same types, with bounds checked as in the module, and with the module's libm in place of
this machine's, whose sin and exp may differ from it in the last bit. Numba learns of that libm while it compiles a kernel, and of
this machine's again after that.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import platform
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache as memoize
from pathlib import Path
from typing import Any

from pangea.compute.engine.cache import open_folder
from pangea.compute.engine.files import new_file
from pangea.compute.kernels.backend import SDK, pow_sources, run_zig, versions
from pangea.compute.kernels.frontend import compiled, numba
from pangea.compute.model.libraries import need
from pangea.compute.model.signatures import KernelSignature, KernelType

_ONE = "sin cos tan exp exp2 log log2 log10 asin acos atan sinh cosh tanh asinh acosh atanh expm1 log1p cbrt".split()
_TWO = ("atan2", "hypot", "pow")
_NAMES = tuple(f"{name}{suffix}" for name in (*_ONE, *_TWO) for suffix in ("", "f"))
_lock = threading.Lock()


def reference(function: Callable[..., Any], signature: KernelSignature) -> Callable[..., bytes]:
    """Compile a kernel natively.

    Returns:
        A function of the kernel's arguments that gives the result as a chunk's is: a .npy file.

    Raises:
        UnavailableError: Numba or zig isn't installed.
        JobDefinitionError: Numba can't compile it.
    """
    with _modules_libm():
        native = compiled(function, signature)
    return lambda *arguments: written(native(*arguments), signature.returns)


def read(chunk: bytes, signature: KernelSignature) -> tuple[Any, ...]:
    """The arguments in a chunk: arrays of their own, and numbers.

    Raises:
        TypeError: they aren't those of the signature; in the words of the module.
    """
    numpy = need("numpy", "running a kernel here")
    file, found = io.BytesIO(chunk), []
    for number, type_ in enumerate(signature.takes, 1):
        if file.tell() == len(chunk):
            raise TypeError(f"argument {number} is missing: no .npy file is left")
        each = numpy.lib.format.read_array(file, allow_pickle=False)
        if each.dtype.str != type_.descr:
            raise TypeError(f"argument {number} is of another type; the kernel takes {type_}")
        if each.ndim != type_.dimensions:
            much = "many" if each.ndim > type_.dimensions else "few"
            raise TypeError(f"argument {number} has too {much} dimensions; the kernel takes {type_}")
        found.append(numpy.require(each, requirements="CAW") if type_.dimensions else each[()])
    if file.tell() != len(chunk):
        raise TypeError(f"the chunk has more than the kernel's {len(signature.takes)} arguments")
    return tuple(found)


def written(value: Any, type_: KernelType) -> bytes:
    """A result as its module writes it: a .npy file, a number as an array of one item, NaNs alike."""
    numpy = need("numpy", "running a kernel here")
    items = numpy.array(value, type_.descr, order="C", ndmin=1)
    if type_.item.startswith("float"):
        items[numpy.isnan(items)] = numpy.nan
    numpy.lib.format.write_array(file := io.BytesIO(), items, version=(1, 0))
    return file.getvalue()


@contextlib.contextmanager
def _modules_libm() -> Iterator[None]:
    import llvmlite.binding as llvm

    nb, library = numba(), _libm()
    with nb.core.compiler_lock.global_compiler_lock:
        own = {name: llvm.address_of_symbol(name) for name in _NAMES}
        try:
            for name in _NAMES:
                llvm.add_symbol(name, ctypes.cast(library[f"pangea_{name}"], ctypes.c_void_p).value)
            yield
        finally:
            for name, address in own.items():
                if address:
                    llvm.add_symbol(name, address)


@memoize
def _libm() -> ctypes.CDLL:
    """The libm of modules, compiled for this machine."""
    with _lock:
        key = hashlib.sha256((SDK / "math.zig").read_bytes() + versions().encode() + platform.machine().encode()).hexdigest()
        path = open_folder(open_folder() / "kernels") / f"libm-{key[:32]}.so"
        if not path.exists():
            _compile_libm(path)
    return ctypes.CDLL(str(path))


def _compile_libm(path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pangea-kernel-") as folder:
        target = Path(folder) / "libm.so"
        how = ["-dynamic", "-target", f"{platform.machine()}-linux-gnu", "-mcpu", "baseline", "-O", "ReleaseFast", "-fstrip"]
        math = pow_sources("-Dpow=pangea_pow", "-Dpowf=pangea_powf")
        run_zig(["build-lib", *how, str(SDK / "math.zig"), *math, f"-femit-bin={target}"], "libm")
        with new_file(path, 0o600) as file:
            file.write(target.read_bytes())

"""Numba's front end: types for a kernel, and unoptimised LLVM code; or why there are none.

Numba leaves the code as it is while its level of optimisation is zero, whatever machine this is: what is made of it for
WebAssembly depends on nothing here. Plain functions that a kernel calls are compiled with it, as if each were decorated.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import CellType, CodeType, FunctionType
from typing import Any

from pangea.compute.capture.functions import name_of, place_of
from pangea.compute.capture.sources import display_name
from pangea.compute.model.errors import JobDefinitionError, UnavailableError
from pangea.compute.model.signatures import KernelSignature, KernelType

REMEDY = "pip install 'pangea-compute[kernels]'"
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
#: Lines of Numba's that say where in Numba, not why.
_NOISE = ("Failed in nopython mode pipeline", "During: Pass", "raised from", "<source missing")
_REASON_LINES_MAX = 12


@dataclass(frozen=True, slots=True)
class Lowered:
    """A kernel as LLVM code.

    Attributes:
        code: LLVM's text, for a machine with 64-bit pointers.
        symbol: the function in it that the kernel is.
    """

    code: str
    symbol: str


def numba() -> Any:
    """Numba.

    Raises:
        UnavailableError: it isn't installed, or told not to compile.
    """
    try:
        nb: Any = import_module("numba")
        import_module("numba.core.compiler_lock")
    except ImportError as error:
        raise UnavailableError("a kernel is compiled by Numba, which isn't installed", hint=REMEDY, library="numba") from error
    if nb.config.DISABLE_JIT:
        raise UnavailableError("a kernel is compiled by Numba, and NUMBA_DISABLE_JIT is set", hint="unset NUMBA_DISABLE_JIT")
    return nb


def lowered(function: Callable[..., Any], signature: KernelSignature) -> Lowered:
    """Infer types and make LLVM code.

    Raises:
        UnavailableError: Numba isn't installed.
        JobDefinitionError: Numba can't compile the function, or it returns something else than its signature says.
    """
    with _unoptimised():
        (overload,) = compiled(function, signature).overloads.values()
    return Lowered(overload.library.get_llvm_str(), str(overload.fndesc.llvm_func_name))


def compiled(function: Callable[..., Any], signature: KernelSignature) -> Any:
    """What Numba makes of a function for these types alone, with checks of bounds: a dispatcher.

    Raises:
        UnavailableError: Numba isn't installed.
        JobDefinitionError: it can't compile the function, or that returns something else than its signature says.
    """
    nb = numba()
    takes = tuple(_numba_type(each) for each in signature.takes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dispatcher = Decorated(nb).of(function)
            dispatcher.compile(takes)
            dispatcher.disable_compile()
    except Exception as error:  # Numba's own, and what its passes raise of code that they weren't made for
        raise _not_typed(function, signature, error) from error
    _check_returned(dispatcher.overloads[takes].signature.return_type, function, signature)
    return dispatcher


class Decorated:
    """Functions as Numba takes them: each plain function that one of them calls is decorated, too."""

    def __init__(self, nb: Any) -> None:
        self._nb = nb
        self._made: dict[int, Any] = {}
        self._kept: list[Any] = []

    def of(self, function: Any) -> Any:
        """The dispatcher of a copy of `function`."""
        if id(function) in self._made:
            return self._made[id(function)]
        names = dict(function.__globals__)
        cells = tuple(CellType() for _ in function.__closure__) if function.__closure__ else None
        copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, cells)
        copy.__kwdefaults__ = function.__kwdefaults__
        self._kept.append(function)  # so that nobody else gets its id
        made = self._made[id(function)] = self._nb.njit(boundscheck=True)(copy)
        for name in _names_in(function.__code__):
            if name in names:
                names[name] = self._called(names[name])
        for cell, own in zip(copy.__closure__ or (), function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # an empty cell
                cell.cell_contents = self._called(own.cell_contents)
        return made

    def _called(self, value: Any) -> Any:
        return self.of(value) if isinstance(value, FunctionType) else value


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names_in(each)


@contextlib.contextmanager
def _unoptimised() -> Iterator[None]:
    nb = numba()
    with nb.core.compiler_lock.global_compiler_lock:
        level = nb.config.OPT
        nb.config.OPT = type(level)(0)
        try:
            yield
        finally:
            nb.config.OPT = level


def _numba_type(type_: KernelType) -> Any:
    nb = numba()
    item = getattr(nb.types, "boolean" if type_.item == "bool" else type_.item)
    return nb.types.Array(item, type_.dimensions, "C") if type_.dimensions else item


def _check_returned(found: Any, function: Callable[..., Any], signature: KernelSignature) -> None:
    wanted = signature.returns
    item, dimensions = getattr(found, "dtype", found), getattr(found, "ndim", 0)
    if str(item).replace("boolean", "bool") == wanted.item and dimensions == wanted.dimensions and not hasattr(found, "count"):
        return
    told = str(found).replace("boolean", "bool")
    told = f"{item}[{','.join(':' * dimensions)}]" if dimensions else told
    raise JobDefinitionError(
        f"{name_of(function)} ({place_of(function)}) returns {told}; its kernel={str(signature)!r} says {wanted}",
        hint=f"write kernel={f'{_left(signature)} -> {told}'!r}, or convert what it returns",
        option="kernel",
    )


def _left(signature: KernelSignature) -> str:
    return ", ".join(map(str, signature.takes))


def _not_typed(function: Callable[..., Any], signature: KernelSignature, error: Exception) -> JobDefinitionError:
    location = getattr(error, "loc", None)
    file, line = getattr(location, "filename", None), getattr(location, "line", None)
    place = f"{display_name(file)}:{line}" if file and line else place_of(function)
    return JobDefinitionError(
        f"{place}: Numba can't compile {name_of(function)} as a kernel {str(signature)!r}: {_reason(str(error))}",
        hint="leave kernel= out to run it as Python, or write it with numbers, loops, math and NumPy's functions of arrays",
        option="kernel",
    )


def _reason(text: str) -> str:
    """Numba's own words, without where in Numba they were said."""
    lines = [line.rstrip() for line in _ESCAPES.sub("", text).splitlines()]
    kept = [line for line in lines if line.strip() and not any(noise in line for noise in _NOISE)]
    end = next((at for at, line in enumerate(kept) if line.startswith("File ")), len(kept))
    return "\n".join(kept[: max(1, min(end, _REASON_LINES_MAX))]) or text.strip()

"""The sandbox: one fresh Wasmtime instance with every limit set. The only module that imports wasmtime.

Rules. The guest controls every pointer and length it returns: each is checked against its memory, and against the caps,
before a byte is read. Fuel is set before instantiation, since a start function runs then. Nothing here knows of processes;
the time limit belongs to whoever can kill the process.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import wasmtime
from wasmtime import Config, Engine, Func, FuncType, Instance, Linker, Memory, MemoryType, Module, Store, Trap, TrapCode

from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import KIB, STACK_BYTES, human_bytes

#: Older lines have published escapes and host crashes (GHSA-2hw9-mc66-jc2q, CVE-2026-34971 and others).
WASMTIME_FLOOR = (50, 0, 1)
#: Elements of the one table; the table of the Python guest has about 13,000.
TABLE_ELEMENTS_MAX = 1_000_000
ERROR_BYTES_MAX = 64 * KIB

_COMPONENT_HEADER = b"\0asm\x0d\0\x01\0"
_CORE_HEADER = b"\0asm\x01\0\0\0"
_U32 = 0xFFFF_FFFF

#: Signatures of guest ABI 1. Source: design, "The module contract".
_CALL = (["i32", "i32"], ["i64"])
_REQUIRED = {"alloc": (["i32"], ["i32"]), "execute": _CALL}
_OPTIONAL = {
    "init": _CALL,
    "split": _CALL,
    "merge": _CALL,
    "execute_many": _CALL,
    "take_prints": _CALL,
    "last_error": ([], ["i64"]),
}

_SETTINGS: dict[str, Any] = {
    "consume_fuel": True,
    "cranelift_nan_canonicalization": True,
    "max_wasm_stack": STACK_BYTES,
    "wasm_threads": False,
    "wasm_relaxed_simd": False,
    "wasm_memory64": False,
    "wasm_multi_memory": False,
    "wasm_gc": False,
    "wasm_function_references": False,
    "wasm_exceptions": False,
    "wasm_component_model": False,
    "wasm_tail_call": False,
    "wasm_stack_switching": False,
    "wasm_wide_arithmetic": False,
    "wasm_custom_page_sizes": False,
    "shared_memory": False,
}


class SandboxError(Exception):
    """A guest failed; carries the outcome."""

    def __init__(self, failure: Failure) -> None:
        """Wrap `failure`."""
        super().__init__(failure.message)
        self.failure = failure


def version_problem() -> str | None:
    """What is wrong with the installed wasmtime, or None when it is at or above the floor."""
    found = version("wasmtime")
    if tuple(int(part) for part in found.split(".")[:3]) >= WASMTIME_FLOOR:
        return None
    return f"wasmtime {found} is older than {'.'.join(map(str, WASMTIME_FLOOR))}, which has security fixes"


def profile_id() -> str:
    """Names the code that this profile and this wasmtime produce; equal ids may share compiled code on one CPU."""
    digest = hashlib.sha256(repr(sorted(_SETTINGS.items())).encode()).hexdigest()
    return f"wasmtime-{version('wasmtime')}-{digest[:12]}"


def new_engine(*, parallel: bool = False) -> Engine:
    """An engine with the determinism profile (design, section 5)."""
    config = Config()
    for name, value in _SETTINGS.items():
        setattr(config, name, value)
    config.parallel_compilation = parallel
    return Engine(config)


def check_and_compile(wasm: bytes, limits: Limits) -> tuple[bytes, list[str]]:
    """Validate a module against guest ABI 1 and compile it.

    Returns:
        The compiled code and the names of its ABI exports.

    Raises:
        SandboxError: `BAD_MODULE` with the reason.
    """
    engine = new_engine(parallel=True)
    _check_header(wasm)
    try:
        Module.validate(engine, wasm)
        module = Module(engine, wasm)
    except wasmtime.WasmtimeError as error:
        raise _bad(f"not a valid module: {_one_line(error)}") from None
    return bytes(module.serialize()), _check_contract(module, limits)


def _check_header(wasm: bytes) -> None:
    if wasm[:8] == _COMPONENT_HEADER:
        raise _bad("this is a component; guest ABI 1 is a core module")
    if wasm[:4] != _CORE_HEADER[:4]:
        raise _bad(f"not WebAssembly: it starts with {wasm[:4].hex(' ') or 'nothing'}, not with 00 61 73 6d")
    if wasm[4:8] != _CORE_HEADER[4:]:
        raise _bad(f"not WebAssembly version 1: its version bytes are {wasm[4:8].hex(' ') or 'missing'}")


def _check_contract(module: Module, limits: Limits) -> list[str]:
    if imports := module.imports:
        named = ", ".join(f"{each.module}.{each.name}" for each in imports[:4])
        raise _bad(f"it has {len(imports)} imports ({named}{', …' if len(imports) > 4 else ''}); a job's module has none")
    exports = {each.name: each.type for each in module.exports}
    memory = exports.get("memory")
    if not isinstance(memory, MemoryType):
        raise _bad("it exports no memory named 'memory'")
    if memory.limits.min * 65536 > limits.memory:
        needs = memory.limits.min * 65536
        raise SandboxError(
            Failure(
                kind=FailureKind.OUT_OF_MEMORY,
                limit="memory",
                message=f"the module's memory starts at {human_bytes(needs)}, the limit is {human_bytes(limits.memory)}",
            )
        )
    for name, signature in _REQUIRED.items():
        if name not in exports:
            raise _bad(f"it exports no function '{name}' (guest ABI 1 wants {_shown(name, signature)})")
    found = []
    for name, signature in {**_REQUIRED, **_OPTIONAL}.items():
        if name in exports:
            _check_signature(name, exports[name], signature)
            found.append(name)
    return found


def _check_signature(name: str, type_: object, wanted: tuple[list[str], list[str]]) -> None:
    if not isinstance(type_, FuncType):
        raise _bad(f"its export '{name}' is not a function")
    found = ([str(p) for p in type_.params], [str(r) for r in type_.results])
    if found != wanted:
        raise _bad(f"its export is {_shown(name, found)}; guest ABI 1 wants {_shown(name, wanted)}")


def _shown(name: str, signature: tuple[list[str], list[str]]) -> str:
    return f"{name}({', '.join(signature[0])}) -> {', '.join(signature[1]) or 'nothing'}"


@dataclass(frozen=True)
class CompiledModule:
    """Compiled code, mapped and ready to be instantiated."""

    engine: Engine
    template: wasmtime.InstancePre

    @classmethod
    def load(cls, path: str) -> CompiledModule:
        """Map code that `check_and_compile` made. It is native code: never load what a peer sent."""
        engine = new_engine()
        return cls(engine, Linker(engine).instantiate_pre(Module.deserialize_file(engine, path)))


class Sandbox:
    """One instance of a module, used for one task (or, after `init`, as the template that tasks are forked from)."""

    def __init__(self, compiled: CompiledModule, limits: Limits) -> None:
        """Instantiate under `limits`, whose fuel covers a start function.

        Raises:
            SandboxError: the start function trapped, or memory or a table is over its limit.
        """
        self._limits = limits
        self._store = Store(compiled.engine)
        self._store.set_fuel(limits.fuel)
        self._store.set_limits(memory_size=limits.memory, table_elements=TABLE_ELEMENTS_MAX, instances=1, tables=1, memories=1)
        self._fuel_set = limits.fuel
        try:
            instance: Instance = compiled.template.instantiate(self._store)
        except Trap as trap:
            raise SandboxError(self._trapped(trap, "the start function")) from None
        except wasmtime.WasmtimeError as error:
            message = f"the module asks for more than its limits: {_one_line(error)}"
            raise SandboxError(Failure(kind=FailureKind.OUT_OF_MEMORY, message=message, limit="memory")) from None
        exports = instance.exports(self._store)
        self._functions = {name: f for name in (*_REQUIRED, *_OPTIONAL) if isinstance(f := exports.get(name), Func)}
        memory = exports["memory"]
        assert isinstance(memory, Memory)
        self._memory = memory
        self._prefer_huge_pages()

    def has(self, function: str) -> bool:
        """Whether the module exports `function`."""
        return function in self._functions

    def refuel(self, fuel: int) -> None:
        """Give the next calls `fuel` units, counted from zero."""
        self._store.set_fuel(fuel)
        self._fuel_set = fuel

    @property
    def fuel_used(self) -> int:
        """Fuel units used since the last `refuel`."""
        return self._fuel_set - self._store.get_fuel()

    def reserve(self, size: int) -> memoryview:
        """Ask the guest for `size` bytes and return them to be filled; the next call takes them as its input.

        Raises:
            SandboxError: the guest has no room, or returned a pointer outside its memory.
        """
        pointer = self._invoke("alloc", size) & _U32
        view = self._view()
        if pointer == 0 and size:
            message = f"no room for {human_bytes(size)} of input under the memory limit of {human_bytes(self._limits.memory)}"
            raise SandboxError(Failure(kind=FailureKind.OUT_OF_MEMORY, message=message, limit="memory"))
        if pointer + size > len(view):
            message = f"alloc({size}) returned {pointer:#x}, outside the guest's memory of {len(view)} bytes"
            raise SandboxError(Failure(kind=FailureKind.BAD_RESULT, message=message))
        self._input = (pointer, size)
        return view[pointer : pointer + size]

    def call(self, function: str, result_max: int) -> memoryview:
        """Call `function` with the input reserved last.

        Returns:
            A view of the result in the guest's memory, good until the next call.

        Raises:
            SandboxError: the guest trapped, failed, or returned something that isn't a result of at most `result_max` bytes.
        """
        pointer, size = self._input
        packed = self._invoke(function, _signed(pointer), _signed(size))
        if packed == -1:
            raise SandboxError(self._guest_error(_shown_name(function)))
        return self._slice(packed, f"the result of {_shown_name(function)}", result_max)

    def _slice(self, packed: int, what: str, most: int) -> memoryview:
        start, size = (packed >> 32) & _U32, packed & _U32
        view = self._view()
        if start + size > len(view):
            message = f"{what} is said to be {size} bytes at {start:#x}, outside the guest's memory of {len(view)} bytes"
            raise SandboxError(Failure(kind=FailureKind.BAD_RESULT, message=message))
        if size > most:
            message = f"{what} is {human_bytes(size)}, the limit is {human_bytes(most)}"
            raise SandboxError(Failure(kind=FailureKind.RESULT_TOO_LARGE, message=message, limit="result"))
        return view[start : start + size]

    def take_prints(self) -> str:
        """What the guest printed since it was asked last; "" when it has no such export."""
        if not self.has("take_prints"):
            return ""
        self.reserve(0)
        return str(self.call("take_prints", ERROR_BYTES_MAX), "utf-8", "replace")

    def _invoke(self, function: str, *arguments: int) -> int:
        try:
            return int(self._functions[function](self._store, *arguments))
        except Trap as trap:
            raise SandboxError(self._trapped(trap, _shown_name(function))) from None

    def _guest_error(self, function: str) -> Failure:
        fuel, text = self.fuel_used, ""
        if self.has("last_error"):
            packed = self._invoke("last_error")
            text = str(self._slice(packed, "the error text", ERROR_BYTES_MAX), "utf-8", "replace") if packed != -1 else ""
        last = next((line for line in reversed(text.partition("\nprinted before the error:")[0].splitlines()) if line), "")
        if last == "MemoryError" or last.startswith("MemoryError:"):
            message = f"{function} ran out of memory: the limit is {human_bytes(self._limits.memory)}"
            return Failure(kind=FailureKind.OUT_OF_MEMORY, message=message, limit="memory", traceback=text, fuel=fuel)
        message = f"{function} failed: {last[:500] or 'the guest gave no reason'}"
        return Failure(kind=FailureKind.GUEST_ERROR, message=message, traceback=text, fuel=fuel)

    def _trapped(self, trap: Trap, what: str) -> Failure:
        fuel = self.fuel_used
        match trap.trap_code:
            case TrapCode.OUT_OF_FUEL:
                message = f"{what} used up its {self._fuel_set:,} units of fuel"
                return Failure(kind=FailureKind.OUT_OF_FUEL, message=message, limit="fuel", fuel=self._fuel_set)
            case TrapCode.STACK_OVERFLOW:
                message = f"{what} overflowed its stack of {human_bytes(STACK_BYTES)}"
                return Failure(kind=FailureKind.STACK_OVERFLOW, message=message, limit="stack", fuel=fuel)
            case _:
                return Failure(kind=FailureKind.TRAPPED, message=f"{what} trapped: {_one_line(trap)}", fuel=fuel)

    def _view(self) -> memoryview:
        size = self._memory.data_len(self._store)
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents) if size else 0
        return memoryview((ctypes.c_ubyte * size).from_address(base)).cast("B") if size else memoryview(bytearray())

    def _prefer_huge_pages(self) -> None:
        """Ask for 2 MiB pages: a fresh instance faults in all it touches, and 4 KiB at a time costs four times as much."""
        if self._memory.data_len(self._store):
            base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
            madvise = ctypes.CDLL(None, use_errno=True).madvise
            madvise(ctypes.c_void_p(base), ctypes.c_size_t(self._limits.memory), mmap.MADV_HUGEPAGE)  # advice: may be refused


def _shown_name(function: str) -> str:
    """What the user calls the function: that many chunks share a call is ours to know."""
    return function.removesuffix("_many")


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


def _bad(reason: str) -> SandboxError:
    return SandboxError(Failure(kind=FailureKind.BAD_MODULE, message=reason))


def _one_line(error: Exception) -> str:
    """Wasmtime's reason without its backtrace and addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = lines[lines.index("Caused by:") + 1 :] if "Caused by:" in lines else lines[:1]
    text = "; ".join(line.split(": ", 1)[1] if line[:1].isdigit() and ": " in line else line for line in causes)
    return text.removeprefix("wasm trap: ")[:400]

"""The sandbox: one fresh Wasmtime instance with every limit set. The only module that imports wasmtime.

Rules. The guest controls every pointer and length it returns: each is checked against its memory, and against the caps,
before a byte is read. Fuel is set before instantiation, since a start function runs then. Nothing here knows of processes;
the time limit belongs to whoever can kill the process.

Two meters, and two rules for NaNs. The Python guest, which is ours, was given a counter of its own when it was built: an exported
global that it lowers, and stops below zero; and it makes NaNs canonical where they could be seen. All other modules are metered
by Wasmtime's fuel, and have each NaN made canonical by Cranelift. Which a module is under is said by whoever loads it, who knows
its hash, and never by the module: one that exports a global of that name is metered like any other.

Likewise its memory: how much the Python guest has taken is an exported global of its own, so it is given all that it may have at
the start, and can be put back to less.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
from dataclasses import dataclass
from typing import Any

import wasmtime
from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Linker,
    Memory,
    MemoryType,
    Module,
    Store,
    Trap,
    TrapCode,
)
from wasmtime import _bindings as native

from pangea.compute.engine import wasmtime_version
from pangea.compute.engine.exports import ExportedFunction, ExportedNumber, exported
from pangea.compute.engine.globals import PREFIX, header_problem, with_globals_exported
from pangea.compute.engine.growth import refusal
from pangea.compute.engine.guest_failures import guest_failure, not_instantiated, one_line
from pangea.compute.engine.image import Marked, MemoryImage, page_faults
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import KIB, OWN_STACK_BYTES, STACK_BYTES, human_bytes

#: Elements of the one table; the table of the Python guest has about 13,000.
TABLE_ELEMENTS_MAX = 1_000_000
ERROR_BYTES_MAX = 64 * KIB

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
    "_initialize": ([], []),
}

_SIGNATURES = _REQUIRED | _OPTIONAL
#: Those that packs are for.
_OF_PACKS = ("split", "execute", "merge")

#: The counter of a module that has its own meter; how many pages of its memory it has taken.
_OWN_FUEL, _OWN_PAGES = "fuel", "pages"
_PAGE_BYTES = 64 * KIB

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
#: For the Python guest. Its stack is larger, since CPython's own limit on recursion must always be met first. It makes NaNs
#: canonical itself where their bits can be seen (`runtime/build/nans.py`): after each operation, arrays would pay for it.
_OWN_SETTINGS = _SETTINGS | {
    "consume_fuel": False,
    "cranelift_nan_canonicalization": False,
    "max_wasm_stack": OWN_STACK_BYTES,
}


class SandboxError(Exception):
    """A guest failed; carries the outcome."""

    def __init__(self, failure: Failure) -> None:
        """Wrap `failure`."""
        super().__init__(failure.message)
        self.failure = failure


def profile_id() -> str:
    """Names the code that this profile and this wasmtime produce; equal ids may share compiled code on one CPU."""
    digest = hashlib.sha256(repr([sorted(each.items()) for each in (_SETTINGS, _OWN_SETTINGS)]).encode()).hexdigest()
    return f"wasmtime-{wasmtime_version.installed()}-{digest[:12]}-globals"


def new_engine(*, is_own: bool = False, parallel: bool = False) -> Engine:
    """An engine with the determinism profile (design, section 5).

    Args:
        is_own: for the Python guest, which has a meter of its own.
        parallel: compile on all cores.
    """
    config = Config()
    native.wasmtime_config_async_stack_size_set(config.ptr(), OWN_STACK_BYTES)  # unused, but never smaller than the guest's
    for name, value in (_OWN_SETTINGS if is_own else _SETTINGS).items():
        setattr(config, name, value)
    config.parallel_compilation = parallel
    return Engine(config)


def check_and_compile(wasm: bytes, limits: Limits, *, is_own: bool = False) -> tuple[bytes, list[str]]:
    """Validate a module against guest ABI 1 and compile it.

    Args:
        wasm: the module.
        limits: of the job.
        is_own: it is the Python guest.

    Returns:
        The compiled code and the names of its ABI exports.

    Raises:
        SandboxError: `BAD_MODULE` with the reason.
    """
    engine = new_engine(is_own=is_own, parallel=True)
    if problem := header_problem(wasm):
        raise _bad(problem)
    try:
        Module.validate(engine, wasm)
        module = Module(engine, with_globals_exported(wasm))
    except wasmtime.WasmtimeError as error:
        raise _bad(f"not a valid module: {one_line(error)}") from None
    found = _check_contract(module, limits)
    if is_own:
        _check_meter(module)
    return bytes(module.serialize()), found


def _check_contract(module: Module, limits: Limits) -> list[str]:
    if imports := module.imports:
        named = ", ".join(f"{each.module}.{each.name}" for each in imports[:4])
        raise _bad(f"it has {len(imports)} imports ({named}{', …' if len(imports) > 4 else ''}); a job's module has none")
    exports = {each.name: each.type for each in module.exports}
    memory = exports.get("memory")
    if not isinstance(memory, MemoryType):
        raise _bad("it exports no memory named 'memory'")
    if memory.limits.min * _PAGE_BYTES > limits.memory:
        needs = memory.limits.min * _PAGE_BYTES
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
    for name, signature in _SIGNATURES.items():
        if name in exports:
            _check_signature(name, exports[name], signature)
            found.append(name)
    return found


def _check_meter(module: Module) -> None:
    found = {each.name: each.type for each in module.exports}
    for name, kind in {_OWN_FUEL: "i64", _OWN_PAGES: "i32"}.items():
        type_ = found.get(name)
        if not isinstance(type_, GlobalType) or not type_.mutable or str(type_.content) != kind:
            raise _bad(f"it has no meter of its own: it exports no mutable {kind} named '{name}'")


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
    is_own: bool = False

    @classmethod
    def load(cls, path: str, *, is_own: bool = False) -> CompiledModule:
        """Map code that `check_and_compile` made (with the same `is_own`). It is native code: never load what a peer sent."""
        engine = new_engine(is_own=is_own)
        return cls(engine, Linker(engine).instantiate_pre(Module.deserialize_file(engine, path)), is_own)


class _EngineMeter:
    """Wasmtime's fuel."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fill(self, fuel: int) -> None:
        self._store.set_fuel(fuel)

    def left(self) -> int:
        return self._store.get_fuel()

    def is_empty(self, trap: Trap) -> bool:
        return trap.trap_code is TrapCode.OUT_OF_FUEL


class _OwnMeter:
    """The counter of a module that has one: it stops at an `unreachable` as soon as that is below zero."""

    def __init__(self, counter: ExportedNumber) -> None:
        self._counter = counter

    def fill(self, fuel: int) -> None:
        self._counter.set_i64(fuel)

    def left(self) -> int:
        return self._counter.i64()

    def is_empty(self, trap: Trap) -> bool:
        return trap.trap_code is TrapCode.UNREACHABLE and self.left() < 0


class Sandbox:
    """One instance of a module, used for one pack (or, after `init`, as the template that packs start from)."""

    def __init__(self, compiled: CompiledModule, limits: Limits) -> None:
        """Instantiate under `limits`, whose fuel covers a start function and a reactor's `_initialize`, which is called here.

        Raises:
            SandboxError: one of these trapped, memory or a table is over its limit, or the machine has no memory for it.
        """
        self._limits = limits
        self._pages: ExportedNumber | None = None
        self._store = Store(compiled.engine)
        self._meter: _EngineMeter | _OwnMeter = _EngineMeter(self._store)
        if not compiled.is_own:  # the Python guest has no start function that could use any
            self._meter.fill(limits.fuel)
            self.check_growth(limits.memory)
        self._store.set_limits(memory_size=limits.memory, table_elements=TABLE_ELEMENTS_MAX, instances=1, tables=1, memories=1)
        self._fuel_set = limits.fuel
        try:
            instance: Instance = compiled.template.instantiate(self._store)
        except Trap as trap:
            raise SandboxError(self._trapped(trap, "the start function")) from None
        except wasmtime.WasmtimeError as error:
            raise SandboxError(not_instantiated(one_line(error))) from None
        wanted = (*_SIGNATURES, "memory")
        exports = instance.exports(self._store) if compiled.is_own else exported(self._store, instance, wanted)
        if compiled.is_own:
            counter, pages = exports[_OWN_FUEL], exports[_OWN_PAGES]
            assert isinstance(counter, Global)
            assert isinstance(pages, Global)
            self._meter, self._pages = _OwnMeter(ExportedNumber(self._store, counter)), ExportedNumber(self._store, pages)
            self._meter.fill(limits.fuel)
        found = {name: f for name in _SIGNATURES if isinstance(f := exports.get(name), Func)}
        is_of_type = compiled.is_own
        self._functions = {n: ExportedFunction(self._store, f, *_SIGNATURES[n], is_of_type=is_of_type) for n, f in found.items()}
        numbers = [each for name, each in exports.items() if name.startswith(PREFIX) and isinstance(each, Global)]
        self._globals = [ExportedNumber(self._store, each) for each in numbers]
        memory = exports["memory"]
        assert isinstance(memory, Memory)
        self._memory = memory
        self._image: MemoryImage | None = None
        #: Page faults of this process before the call that is under way.
        self._faults_before: int | None = None
        self._viewed = (0, 0)
        self._whole = memoryview(bytearray())
        if compiled.is_own:
            self._give_memory()
        self._prefer_huge_pages()
        if self.has("_initialize"):
            self._invoke("_initialize")

    def check_growth(self, size: int | None = None) -> None:
        """See that `size` bytes more, by default all that the guest may still take, could be had: if not, it may have noticed.

        Raises:
            SandboxError: `HOST_MEMORY`: whatever the guest says is this machine's alone.
        """
        if self._pages is None and (failure := refusal(self._limits.memory - len(self._view()) if size is None else size)):
            raise SandboxError(failure)

    def has(self, function: str) -> bool:
        """Whether the module exports `function`."""
        return function in self._functions

    def refuel(self, fuel: int) -> None:
        """Give the next calls `fuel` units, counted from zero."""
        self._meter.fill(fuel)
        self._fuel_set = fuel

    @property
    def fuel_used(self) -> int:
        """Fuel units used since the last `refuel`."""
        return self._fuel_set - self._meter.left()

    def reserve(self, size: int) -> memoryview:
        """Ask the guest for `size` bytes and return them to be filled; the next call takes them as its input.

        Raises:
            SandboxError: the guest has no room, or returned a pointer outside its memory.
        """
        self._watch_faults()
        pointer = self._invoke("alloc", size) & _U32
        if size:  # filling them causes faults that aren't the guest's
            self._count_faults()
        view = self._view()
        if pointer == 0 and size:
            message = f"no room for {human_bytes(size)} of input under the memory limit of {human_bytes(self._limits.memory)}"
            raise SandboxError(Failure(kind=FailureKind.OUT_OF_MEMORY, message=message, limit="memory"))
        if pointer + size > len(view):
            message = f"alloc({size}) returned {pointer:#x}, outside the guest's memory of {len(view)} bytes"
            raise SandboxError(Failure(kind=FailureKind.BAD_RESULT, message=message))
        self._input = (pointer, size)
        if self._image is not None:
            self._image.filled(pointer, size)
        return view[pointer : pointer + size]

    def call(self, function: str, result_max: int) -> memoryview:
        """Call `function` with the input reserved last.

        Returns:
            A view of the result in the guest's memory, good until the next call.

        Raises:
            SandboxError: the guest trapped, failed, or returned something that isn't a result of at most `result_max` bytes.
        """
        pointer, size = self._input
        self._watch_faults()
        try:
            packed = self._invoke(function, _signed(pointer), _signed(size))
            if packed == -1:
                raise SandboxError(self._guest_error(_shown_name(function)))
        finally:
            self._count_faults()
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
        self._input = (0, 0)
        return str(self.call("take_prints", ERROR_BYTES_MAX), "utf-8", "replace")

    def _invoke(self, function: str, *arguments: int) -> int:
        try:
            return self._functions[function](*arguments)
        except Trap as trap:
            raise SandboxError(self._trapped(trap, _shown_name(function))) from None

    def _watch_faults(self) -> None:
        """Those from here on are the guest's, if they aren't already."""
        if self._image is not None and self._faults_before is None:
            self._faults_before = page_faults()

    def _count_faults(self) -> None:
        """Tell the image of them; once is enough."""
        if self._image is not None and self._faults_before is not None:
            self._image.calls_faulted(page_faults() - self._faults_before)
        self._faults_before = None

    def _guest_error(self, function: str) -> Failure:
        fuel, text = self.fuel_used, ""
        if self.has("last_error"):
            packed = self._invoke("last_error")
            text = str(self._slice(packed, "the error text", ERROR_BYTES_MAX), "utf-8", "replace") if packed != -1 else ""
        return guest_failure(function, text, self._limits, fuel)

    def _trapped(self, trap: Trap, what: str) -> Failure:
        if self._meter.is_empty(trap):
            message = f"{what} used up its {self._fuel_set:,} units of fuel"
            return Failure(kind=FailureKind.OUT_OF_FUEL, message=message, limit="fuel", fuel=self._fuel_set)
        if trap.trap_code is TrapCode.STACK_OVERFLOW:
            message = f"{what} overflowed its stack of {human_bytes(STACK_BYTES)}"
            return Failure(kind=FailureKind.STACK_OVERFLOW, message=message, limit="stack", fuel=self.fuel_used)
        return Failure(kind=FailureKind.TRAPPED, message=f"{what} trapped: {one_line(trap)}", fuel=self.fuel_used)

    def _view(self) -> memoryview:
        """All of its memory, which stays the same in the Python guest."""
        if self._pages is not None and self._whole:
            return self._whole
        size = self._memory.data_len(self._store)
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents) if size else 0
        if self._viewed != (base, size):
            self._viewed = (base, size)
            self._whole = memoryview((ctypes.c_ubyte * size).from_address(base)).cast("B") if size else memoryview(bytearray())
        return self._whole

    def freeze(self, descriptor: int) -> None:
        """Keep the instance's state as what `reset` goes back to: its memory in an open file, which is as large at least."""
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents)
        self._image = MemoryImage(base, self._taken(), len(self._view()), descriptor, _OF_PACKS)
        for each in self._globals:
            each.keep()

    @property
    def image(self) -> MemoryImage | None:
        """The memory as it was when the instance was frozen; None if it wasn't."""
        return self._image

    @property
    def is_spent(self) -> bool:
        """Whether it can't be put back: it isn't frozen, or its memory has grown, which can't shrink, and that would show."""
        return self._image is None or len(self._view()) != self._image.whole

    def reset(self, marked: Marked) -> bool:
        """Make the instance as fresh as it was when it was frozen; False if it is spent.

        Memory and globals go back; tables don't change in guests that have an `init`.
        """
        if self.is_spent or self._image is None:
            return False
        self._count_faults()  # of a call that failed before it began
        taken = self._taken()
        for each in self._globals:
            each.put_back()
        self._image.restore(taken, marked)
        return True

    def _taken(self) -> int:
        """Bytes of its memory that the guest has taken, from the first on; what lies behind is zero."""
        whole = len(self._view())
        return whole if self._pages is None else min(self._pages.i32() * _PAGE_BYTES, whole)

    def _give_memory(self) -> None:
        """Give the Python guest all that its limit allows: how much of it is taken is its own account."""
        more = self._limits.memory // _PAGE_BYTES - self._memory.size(self._store)
        try:
            self._memory.grow(self._store, max(0, more))
        except wasmtime.WasmtimeError as error:
            raise SandboxError(not_instantiated(one_line(error))) from None

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

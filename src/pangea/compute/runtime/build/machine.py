"""Run a guest that isn't closed yet: its few imports are answered by `wasi.Files`. The build's only door to wasmtime."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping

from wasmtime import Config, Engine, Func, FuncType, Global, Linker, Module, Store, Val
from wasmtime import Memory as WasmMemory
from wasmtime._bindings import wasmtime_config_async_stack_size_set

from pangea.compute.runtime.build import wasi
from pangea.compute.runtime.build.binary import imported_functions

#: More than building the guest can use.
_FUEL = 1 << 60
_STACK_BYTES = 6 << 20
_U32 = 0xFFFF_FFFF


class Machine(wasi.Memory):
    """One instance of a guest, and what is around it."""

    def __init__(self, module: bytes, files: Mapping[str, bytes]) -> None:
        """Instantiate `module`; it sees `files`."""
        config = Config()
        wasmtime_config_async_stack_size_set(config.ptr(), _STACK_BYTES)  # never used, but may not be the smaller one
        config.max_wasm_stack = _STACK_BYTES
        engine = Engine(config)
        self._store = Store(engine)
        compiled, linker, answers = Module(engine, module), Linker(engine), wasi.Files(files)
        answers.memory = self
        known = answers.functions() | {"proc_exit": _exit}
        for wanted, imported in zip(imported_functions(module), compiled.imports, strict=True):
            assert isinstance(imported.type, FuncType)
            function = _unsigned(known.get(wanted.name, _not_supported), imported.type)
            linker.define(self._store, wanted.module, wanted.name, Func(self._store, imported.type, function))
        exports = linker.instantiate(self._store, compiled).exports(self._store)
        self._exports = {name: exports[name] for name in exports}
        memory = self._exports["memory"]
        assert isinstance(memory, WasmMemory)
        self._memory = memory
        fuel = self._exports.get("fuel")
        if isinstance(fuel, Global):
            fuel.set_value(self._store, Val.i64(_FUEL))
        if "_initialize" in self._exports:
            self.run("_initialize")

    def run(self, function: str, *arguments: int) -> int | None:
        """Call an export."""
        found = self._exports[function]
        assert isinstance(found, Func)
        result = found(self._store, *arguments)
        return None if result is None else int(result)

    def call(self, function: str, data: bytes) -> bytes:
        """Call a function of guest ABI 1 with `data`.

        Raises:
            RuntimeError: it failed.
        """
        place = (self.run("alloc", len(data)) or 0) & _U32
        self.write(place, data)
        packed = self.run(function, place, len(data))
        failed = packed == -1
        packed = self.run("last_error") if failed else packed
        assert packed is not None
        answer = self.read(packed >> 32 & _U32, packed & _U32)
        if failed:
            raise RuntimeError(answer.decode())
        return answer

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return self._memory.data_len(self._store)

    def read(self, start: int, size: int) -> bytes:
        """Read `size` bytes at `start`."""
        return ctypes.string_at(self._base() + start, size)

    def write(self, start: int, data: bytes) -> None:
        """Write `data` at `start`."""
        ctypes.memmove(self._base() + start, data, len(data))

    def _base(self) -> int:
        return ctypes.addressof(self._memory.data_ptr(self._store).contents)


def _exit(_status: int) -> None:
    raise SystemExit("the guest ended itself while it was built (see above)")


def _not_supported(*_arguments: int) -> int:
    return wasi.NOT_SUPPORTED


def _unsigned(function: Callable[..., int | None], type_: FuncType) -> Callable[..., int | None]:
    """`function`, with 32-bit arguments (pointers and lengths) as what they stand for."""
    masks = [_U32 if str(parameter) == "i32" else -1 for parameter in type_.params]
    return lambda *arguments: function(*(value & mask for value, mask in zip(arguments, masks, strict=True)))

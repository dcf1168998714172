"""An instance's exported functions and globals, through Wasmtime's C interface: its Python one takes several times as long."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any, NoReturn

import wasmtime
from wasmtime import Func, Global, Instance, Memory, Store, Trap
from wasmtime import _bindings as native
from wasmtime._extern import wrap_extern
from wasmtime._ffi import WASMTIME_I32, WASMTIME_I64

_U32 = 0xFFFF_FFFF


def exported(store: Store, instance: Instance, names: Iterable[str]) -> dict[str, Func | Memory]:
    """An instance's functions and memories of these names.

    Asked for by name: Wasmtime finds its nth export by going through all before it, and a stranger's module may have a hundred
    thousand, for which no fuel is counted.
    """
    found: dict[str, Func | Memory] = {}
    for name in names:
        item, text = native.wasmtime_extern_t(), name.encode()
        where = (store._context(), ctypes.byref(instance._instance))
        if native.wasmtime_instance_export_get(*where, text, len(text), ctypes.byref(item)):
            extern = wrap_extern(item)
            if isinstance(extern, Func | Memory):
                found[name] = extern
    return found


class ExportedFunction:
    """An exported function. wasmtime's own way to call one asks for its type each time, which costs four times the call."""

    def __init__(
        self, store: Store, function: Func, parameters: list[str], results: list[str], *, is_of_type: bool = False
    ) -> None:
        """Take an exported function, whose parameters are all i32.

        Args:
            store: what it belongs to.
            function: it.
            parameters: the types of what it takes.
            results: the types of what it returns: one at most.
            is_of_type: whether it is surely of that type. Then Wasmtime needn't check it at each call, which halves the cost; of
                a function of another type it would write anywhere.
        """
        self._trap = ctypes.POINTER(native.wasm_trap_t)()
        self._trap_at = ctypes.byref(self._trap)
        self._is_long = results == ["i64"]
        self._called = (store._context(), ctypes.byref(function._func))
        # Slots are looked up once: to find one in its array takes as long as to set it.
        self._call: Any
        self._places: tuple[Any, ...]
        self._slots: list[Any]
        self._result: Any
        if is_of_type:
            values = (native.wasmtime_val_raw_t * max(len(parameters), len(results)))()
            self._call, self._places = native.wasmtime_func_call_unchecked, (values, len(values))
            self._slots, self._result = [*values][: len(parameters)], values[0] if results else None
        else:
            given, got = (native.wasmtime_val_t * len(parameters))(), (native.wasmtime_val_t * len(results))()
            for each in given:
                each.kind = WASMTIME_I32
            self._call, self._places = native.wasmtime_func_call, (given, len(given), got, len(got))
            self._slots, self._result = [each.of for each in given], got[0].of if results else None

    def __call__(self, *arguments: int) -> int:
        """Call it; 0 if it returns nothing.

        Raises:
            Trap: the guest trapped.
        """
        for slot, value in zip(self._slots, arguments, strict=True):
            slot.i32 = value
        error = self._call(*self._called, *self._places, self._trap_at)
        if error or self._trap:
            self._raise(error)
        if self._result is None:
            return 0
        return int(self._result.i64 if self._is_long else self._result.i32)

    def _raise(self, error: Any) -> NoReturn:
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
        trap, self._trap = self._trap, ctypes.POINTER(native.wasm_trap_t)()
        self._trap_at = ctypes.byref(self._trap)
        raise Trap._from_ptr(trap)


class ExportedNumber:
    """A global that is a number, of which one value can be kept to be put back."""

    def __init__(self, store: Store, number: Global) -> None:
        """Take an exported global."""
        self._context, self._global = store._context(), ctypes.byref(number._global)
        self._now, self._kept = native.wasmtime_val_t(), native.wasmtime_val_t()

    def i64(self) -> int:
        """Its value."""
        native.wasmtime_global_get(self._context, self._global, ctypes.byref(self._now))
        return int(self._now.of.i64)

    def i32(self) -> int:
        """Its value, as an unsigned number."""
        native.wasmtime_global_get(self._context, self._global, ctypes.byref(self._now))
        return int(self._now.of.i32) & _U32

    def set_i64(self, value: int) -> None:
        """Set its value, a 64-bit integer."""
        self._now.kind, self._now.of.i64 = WASMTIME_I64, value
        self._set(self._now)

    def keep(self) -> None:
        """Keep the value that it has now."""
        native.wasmtime_global_get(self._context, self._global, ctypes.byref(self._kept))

    def put_back(self) -> None:
        """Set it to the value kept."""
        self._set(self._kept)

    def _set(self, value: native.wasmtime_val_t) -> None:
        if error := native.wasmtime_global_set(self._context, self._global, ctypes.byref(value)):
            raise wasmtime.WasmtimeError._from_ptr(error)

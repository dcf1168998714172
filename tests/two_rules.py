"""Two engines for small modules: one makes every NaN canonical at once, the other leaves NaNs to the processor."""

from __future__ import annotations

from typing import Any

from wasmtime import Config, Engine, Func, Instance, Memory, Module, Store


def _engine(*, is_canonical: bool) -> Engine:
    config = Config()
    config.cranelift_nan_canonicalization = is_canonical
    return Engine(config)


CAREFUL, FAST = _engine(is_canonical=True), _engine(is_canonical=False)


def after_run(engine: Engine, module: bytes, data: bytes) -> bytes:
    """Memory after a call of `run` that found `data` at its start."""
    store: Any = Store(engine)
    exports = Instance(store, Module(engine, module), []).exports(store)
    memory, run = exports["memory"], exports["run"]
    assert isinstance(memory, Memory)
    assert isinstance(run, Func)
    memory.write(store, data, 0)
    run(store)
    return bytes(memory.read(store, 0, 512))

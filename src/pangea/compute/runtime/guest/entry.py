"""The guest's door: the functions of guest ABI 1, in Python. Built into `python-runtime.wasm`, never run on a host.

Everything at module level runs once, while the guest is built; its memory afterwards is what each task starts from. The
exports (`build/c/abi.c`) call what the tuple `sys.abi1` holds, so a chunk is written straight into the `bytes` object that the
job receives. Each function takes bytes and returns bytes, or a one-element tuple with the text of an error.
"""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable

import numpy.random

from pangea.compute import data as chunk_types
from pangea.compute.model.frames import pack, unpack
from pangea.compute.runtime.guest.errnos import number_as_linux
from pangea.compute.runtime.guest.failing import describe
from pangea.compute.runtime.guest.library import MemoryFinder, RandomnessFinder, collect, forget_excluded, preload, serve_again
from pangea.compute.runtime.guest.loading import LoadedJob, load
from pangea.compute.runtime.guest.numeric import mend
from pangea.compute.runtime.guest.one_thread import end_waits_at_once, run_where_submitted
from pangea.compute.runtime.guest.packages import PackageFinder, StandIns, let_read
from pangea.compute.runtime.guest.returned import as_bytes, as_list
from pangea.compute.runtime.guest.sealing import CLOCK, seal
from pangea.compute.runtime.guest.seeding import CallEntropy, replace_entropy
from pangea.compute.runtime.guest.widths import widen

Answer = bytes | tuple[bytes]

preload(chunk_types)
_LIBRARY = MemoryFinder(collect())
_PACKAGES = PackageFinder()
_STAND_INS = StandIns()
_ENTROPY = CallEntropy()


class _State:
    """What changes while a job runs."""

    __slots__ = ("data", "draws", "function", "job")

    def __init__(self) -> None:
        self.job = LoadedJob()
        #: Whether the job can reach random numbers, so that every call has to be seeded.
        self.draws = False
        #: The call now running, so that a first import of `random` inside it can still seed from it.
        self.function = "init"
        self.data = b""


_state = _State()


def _begin_call(function: str, data: bytes) -> None:
    CLOCK.now = 0.0
    _state.function = function
    _state.data = data
    if _state.draws:
        _seed()


def _seed() -> None:
    _ENTROPY.reseed(_state.function, _state.data)
    _ENTROPY.seed_random()


def _begin_drawing() -> None:
    if not _state.draws:  # else the call has been seeded, and may have drawn already
        _state.draws = True
        _seed()


def _begin_drawing_arrays() -> None:
    if _state.draws:
        _ENTROPY.seed_arrays()
    else:
        _begin_drawing()


def _urandom(size: int, /) -> bytes:
    _begin_drawing()
    return _ENTROPY.urandom(size)


def _init(code: bytes) -> bytes:
    _state.draws = False
    _state.job = load(code, _PACKAGES, _STAND_INS)
    _PRINTS.take()  # warnings of the compiler, which the author has seen: every task starts from this state
    return b""


def _split(data: bytes) -> bytes:
    _begin_call("split", data)
    return pack(as_list(_state.job.function("split")(data)))


def _execute(chunk: bytes) -> bytes:
    _begin_call("execute", chunk)
    return as_bytes(_state.job.function("execute")(chunk), "the result of execute")


def _execute_many(frame: bytes) -> bytes:
    execute, state, clock, results = _state.job.function("execute"), _state, CLOCK, []
    state.function = "execute"
    for chunk in unpack(frame):
        clock.now = 0.0
        state.data = chunk
        if state.draws:
            _seed()
        result = execute(chunk)
        results.append(result if type(result) is bytes else as_bytes(result, "the result of execute"))
    return pack(results)


def _merge(frame: bytes) -> bytes:
    _begin_call("merge", frame)
    return as_bytes(_state.job.function("merge")(list(unpack(frame))), "the result of merge")


def _take_prints(_unused: bytes) -> bytes:
    return _PRINTS.take().encode("utf-8", "replace")


def _guarded(function: Callable[[bytes], bytes]) -> Callable[[bytes], Answer]:
    def call(data: bytes) -> Answer:
        try:
            return function(data)
        except BaseException as error:
            return (describe(error, _PRINTS.take()),)

    return call


_PRINTS = seal()
#: In the order of `abi.c`.
sys.abi1 = tuple(map(_guarded, (_init, _split, _execute, _execute_many, _merge, _take_prints)))  # type: ignore[attr-defined]
replace_entropy(_urandom)
sys.path[:], sys.argv[:] = [], [""]  # as Python has it without a script: `argparse` takes the name of the program from it
sys.path_hooks[:] = []
sys.path_importer_cache.clear()
let_read(_PACKAGES)
forget_excluded()
serve_again(_LIBRARY)
_RANDOMNESS = [
    RandomnessFinder("random", random._inst, _begin_drawing),
    RandomnessFinder("numpy.random", numpy.random.mtrand._rand, _begin_drawing_arrays),
]
for _each in _RANDOMNESS:
    _each.hide()
sys.meta_path[:] = [
    _STAND_INS,
    *_RANDOMNESS,
    *[finder for finder in sys.meta_path if getattr(finder, "__name__", "") in {"BuiltinImporter", "FrozenImporter"}],
    _LIBRARY,
    _PACKAGES,
]
mend(sys.maxsize)
widen()
number_as_linux()
run_where_submitted()
end_waits_at_once()
gc.collect()
gc.freeze()

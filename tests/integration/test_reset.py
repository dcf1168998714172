"""A sandbox that is put back is a fresh one: same memory, globals, bytes and fuel, whatever the pack before has left."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from pangea.compute import Job, runtime
from pangea.compute.engine import image, sandbox
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.model import frames
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import FailureKind
from pangea.compute.runtime.build import meter
from pangea.compute.runtime.build.instructions import decoded
from tests import guests

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::pangea.compute.model.errors.JobDefinitionWarning"),  # of exec, which is meant
]
LIMITS = Limits(memory=96 << 20).with_fuel_for(python=True)
#: Sources: WebAssembly Core Specification 2.0, section 5.4.5 (data.drop, and all that changes tables or drops elements).
TABLE_SET, BESIDES_MEMORY = 0x26, {9, 12, 13, 14, 15, 17}
#: What a chunk may do to the interpreter it runs in.
STATES = (
    "seen.append(chunk)",
    "cache[chunk] = [0] * 50_000",
    "cache[chunk] = bytes(40_000_000)",
    "import decimal; decimal.getcontext().prec = 3",
    "import random; random.seed(7)",
    "import sys; sys.setrecursionlimit(99)",
    "import json.tool",
    "import numpy; numpy.random.random(1000); numpy.seterr(all='ignore')",
    "setattr(__builtins__, 'left', 1) if not isinstance(__builtins__, dict) else __builtins__.update(left=1)",
    "raise ValueError('in the middle')",
    "(lambda f: f(f))(lambda f: f(f))",
    "import gc; gc.disable()",
    "print('said')",
)


@Job.define
def leaves() -> None:
    seen: list[bytes] = []
    cache: dict[bytes, list[int]] = {}

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        import decimal
        import random
        import sys

        if not chunk.startswith(b"ask"):
            exec(chunk.decode(), {"seen": seen, "cache": cache, "chunk": chunk})  # in the sandbox
        found = len(seen), len(cache), decimal.getcontext().prec, random.random(), sys.getrecursionlimit(), len(sys.modules)
        return repr((found, hash(chunk), id(object()), [*{b"a", b"b", chunk}])).encode()


class Guest:
    """A guest with the job initialised, in this process, and put back as a worker does it."""

    def __init__(self, code: bytes, compiled: sandbox.CompiledModule) -> None:
        self.sandbox = sandbox.Sandbox(compiled, LIMITS)
        self.sandbox.reserve(len(code))[:] = code
        self.sandbox.call("init", sandbox.ERROR_BYTES_MAX)
        descriptor = os.memfd_create("image")
        os.ftruncate(descriptor, len(self.sandbox._view()))
        self.sandbox.freeze(descriptor)
        assert self.sandbox.image is not None
        self.sandbox.image.begin("execute")
        os.close(descriptor)
        self.state = self.now()

    def now(self) -> tuple[str, list[int]]:
        """The hash of its memory, and its globals."""
        return hashlib.sha256(self.sandbox._view()).hexdigest(), [each.i64() for each in self.sandbox._globals]

    def pack(self, *chunks: bytes, fuel: int = LIMITS.fuel) -> tuple[bytes, int]:
        """What the chunks give, and the fuel that they take."""
        frame = frames.pack(chunks)
        self.sandbox.refuel(fuel)
        self.sandbox.reserve(len(frame))[:] = frame
        return bytes(self.sandbox.call("execute_many", LIMITS.memory)), self.sandbox.fuel_used

    @contextmanager
    def marked(self) -> Iterator[None]:
        assert self.sandbox.image is not None
        self.sandbox.image.mark()
        yield
        self.sandbox.image.unmark()

    def put_back(self) -> bool:
        return self.sandbox.reset(self.marked)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.sandbox.image is not None
        self.sandbox.image.close()
        self.sandbox._store.close()


@pytest.fixture
def compiled(python: LocalEngine) -> sandbox.CompiledModule:
    entry = python._modules.get(runtime.sha256(), LIMITS)
    assert entry is not None
    return sandbox.CompiledModule.load(f"/proc/self/fd/{entry.file}", is_own=True)


def test_whatever_a_pack_leaves_the_next_one_finds_a_fresh_sandbox(compiled: sandbox.CompiledModule) -> None:
    with Guest(leaves.archive(), compiled) as guest:
        fresh = guest.pack(b"ask")
        for state in STATES:
            with suppress(sandbox.SandboxError):
                guest.pack(b"ask first", state.encode(), b"ask")
            assert guest.now() != guest.state
            assert guest.put_back(), state
            assert guest.now() == guest.state, state
            assert guest.pack(b"ask") == fresh, state
            assert guest.put_back()
    with Guest(leaves.archive(), compiled) as another:
        assert another.pack(b"ask") == fresh


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_so_it_is_after_a_trap_in_the_middle_of_a_call(compiled: sandbox.CompiledModule, share: float) -> None:
    chunks = b"ask", b"sorted(range(10_000))"
    with Guest(leaves.archive(), compiled) as guest:
        fresh = guest.pack(*chunks)
        guest.put_back()
        with pytest.raises(sandbox.SandboxError) as caught:
            guest.pack(*chunks, fuel=int(fresh[1] * share))
        assert caught.value.failure.kind is FailureKind.OUT_OF_FUEL
        assert guest.put_back()
        assert guest.now() == guest.state
        assert guest.pack(*chunks) == fresh


def test_memory_that_a_pack_has_taken_is_given_back(compiled: sandbox.CompiledModule) -> None:
    with Guest(leaves.archive(), compiled) as guest:
        taken, fresh = guest.sandbox._taken(), guest.pack(b"ask")
        for size in (9_000_000, 50_000_000, 12_000_000):
            guest.put_back()
            guest.pack(b"cache[1] = bytearray(b'x') * %d" % size)
            assert guest.sandbox._taken() > taken
        assert guest.put_back()
        assert guest.now() == guest.state
        assert (guest.sandbox._taken(), guest.pack(b"ask")) == (taken, fresh)


@pytest.mark.parametrize("cleared", [0, 1 << 16, 64 << 20])
def test_nothing_is_left_in_memory_that_was_not_taken(
    compiled: sandbox.CompiledModule, monkeypatch: pytest.MonkeyPatch, cleared: int
) -> None:
    monkeypatch.setattr(image, "_CLEARED_BYTES_MAX", cleared)
    with Guest(leaves.archive(), compiled) as guest:
        guest.pack(b"cache[1] = bytearray(b'x') * 2_000_000")
        for at in (-1, -30_000_000, guest.sandbox._taken(), guest.sandbox._taken() - 1):
            guest.sandbox._view()[at] = 7  # as a guest gone wild would
        assert guest.put_back()
        assert guest.now() == guest.state


def test_how_much_memory_it_may_take_is_the_limit(compiled: sandbox.CompiledModule) -> None:
    with Guest(leaves.archive(), compiled) as guest:
        fresh = guest.pack(b"ask")
        for _ in range(3):
            guest.put_back()
            with pytest.raises(sandbox.SandboxError, match="the limit is 96"):
                guest.pack(b"cache[1] = bytes(90_000_000)")
        assert guest.put_back()
        assert guest.pack(b"ask") == fresh


#: An allocation writes its size where no call writes; of more than ten bytes it fails, too.
WRITES = "(i32.store (i32.const 0x50000) (local.get 0)) (if (i32.gt_u (local.get 0) (i32.const 10)) (then unreachable))"


@pytest.mark.parametrize("size", [1, 11], ids=["a call follows", "it fails"])
def test_what_an_allocation_writes_is_put_back_whether_a_call_follows_or_not(tmp_path: Path, size: int) -> None:
    module = guests.module(alloc=f"{WRITES} (i32.const {guests.INPUT})", init="(i64.const 0)")
    code, _ = sandbox.check_and_compile(module, LIMITS)
    (tmp_path / "code").write_bytes(code)
    with Guest(b"", sandbox.CompiledModule.load(str(tmp_path / "code"))) as guest:
        for _ in range(3):  # the first of them begins with nothing known, the second finds out
            with suppress(sandbox.SandboxError):
                guest.sandbox.reserve(size)
                guest.sandbox.call("execute", 10)
            assert guest.now() != guest.state
            assert guest.put_back()
            assert guest.now() == guest.state


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_guest_has_no_other_state() -> None:
    """Tables and dropped segments aren't put back: no instruction of the pinned guest changes one."""
    module = runtime.load()
    bodies = meter._read(module).bodies
    assert len(bodies) > 10_000
    found = {opcode for body in bodies for opcode, *_ in decoded(module, body.start, body.end)}
    assert not found & ({TABLE_SET} | {0xFC00 | sub for sub in BESIDES_MEMORY})

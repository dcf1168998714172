"""What a guest may still take is asked of the machine before a pack and after it, however the pack ended."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pangea.compute.engine import sandbox
from pangea.compute.engine.channel import Progress, Records, SharedMemory
from pangea.compute.engine.growth import refusal
from pangea.compute.engine.task_run import TaskRun
from pangea.compute.model import frames
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import MIB
from tests.guests import module, packed

LIMITS = Limits(fuel=10**6, memory=8 * MIB)
REFUSED = Failure(kind=FailureKind.HOST_MEMORY, message="none left")
GROWS = "(drop (memory.grow (i32.const 16)))"


def run(execute: str, folder: Path) -> None:
    """One pack of one chunk, in this process."""
    code, _ = sandbox.check_and_compile(module(execute), LIMITS)
    path = folder / "code"
    path.write_bytes(code)
    compiled, memory, progress = sandbox.CompiledModule.load(str(path)), SharedMemory.create(), Progress.create()
    size = memory.write([frames.pack([b"x"])])
    memory.grow(1 * MIB)  # room for the result, for which nobody need be asked then
    order = {"number": 1, "function": "execute", "packs": [(1, size - frames.HEADER_BYTES)], "one_by_one": False, "size": size}
    ours, theirs = socket.socketpair()
    try:
        with ours, theirs:
            TaskRun(lambda: sandbox.Sandbox(compiled, LIMITS), LIMITS, Records(ours), memory, progress, order).done()
    finally:
        memory.close()
        progress.close()


@pytest.mark.parametrize("end", [packed(0, 1), "(unreachable)"], ids=["a result", "a trap"])
def test_what_was_taken_by_somebody_else_meanwhile_makes_the_answer_the_machine_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    asked = list[int]()

    def gives_once(size: int) -> Failure | None:
        asked.append(size)
        return None if len(asked) == 1 else REFUSED

    monkeypatch.setattr(sandbox, "refusal", gives_once)
    with pytest.raises(sandbox.SandboxError) as caught:
        run(GROWS + end, tmp_path)
    assert caught.value.failure == REFUSED
    assert asked == [8 * MIB, 3 * MIB], "of the module's 4 MiB it has one more"


def test_where_there_is_memory_it_is_asked_for_before_and_after_and_nothing_is_said_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = list[Failure | None]()

    def noted(size: int) -> Failure | None:
        answers.append(refusal(size))
        return answers[-1]

    monkeypatch.setattr(sandbox, "refusal", noted)
    run(GROWS + packed(0, 1), tmp_path)
    assert answers == [None, None]

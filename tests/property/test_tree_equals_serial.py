"""The reference semantics: whatever the tree, the faults, the liars and the order of arrival, the result is the serial one."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.simulation.content import Content
from pangea.compute.simulation.faults import Faults, draw_faults
from pangea.compute.simulation.liars import LIARS
from pangea.compute.simulation.run import run
from pangea.compute.simulation.scenario import Scenario

CHUNKS = st.lists(st.binary(max_size=8), max_size=150)
KINDS = st.lists(st.sampled_from(sorted(LIARS)), min_size=1, max_size=4, unique=True)


def reverse(chunk: bytes) -> bytes:
    return chunk[::-1] + b"."


def concatenate(results: Sequence[bytes]) -> bytes:
    """Associative, and not commutative: a wrong order shows."""
    return b"".join(results)


def enclose(results: Sequence[bytes]) -> bytes:
    """Not associative: an early merge shows."""
    return b"(" + b",".join(results) + b")"


@st.composite
def scenarios(draw: st.DrawFn, *, associative: bool) -> tuple[Scenario, list[bytes]]:
    chunks = draw(CHUNKS)
    seed = draw(st.integers(0, 2**32))
    nodes = draw(st.integers(1, 15))
    is_faulty = draw(st.booleans())
    scenario = Scenario(
        seed=seed,
        nodes=nodes,
        chunks=len(chunks),
        chunk_seconds=draw(st.sampled_from((0.01, 0.3, 1.0))),
        batches=draw(st.integers(1, 4)),
        associative=associative,
        cores=draw(st.integers(1, 3)),
        speed_spread=draw(st.sampled_from((1.0, 5.0))),
        fan_out=draw(st.integers(0, 4)),
        retry_count=100,
        malicious=draw(st.sampled_from((0.0, 0.3))) if nodes > 1 else 0.0,
        liars=tuple(draw(KINDS)),
        lie_rate=draw(st.sampled_from((0.3, 1.0))),
        sleep_tasks=draw(st.integers(0, 4)),
        faults=draw_faults(Random(seed)) if is_faulty else Faults(),
        fault_seconds=5.0,
        check_every=4,
    )
    return scenario, chunks


@given(scenarios(associative=False))
def test_a_merge_that_needs_all_results_at_once_gets_them_in_order(case: tuple[Scenario, list[bytes]]) -> None:
    scenario, chunks = case
    program = Content(chunks, reverse, enclose, chunk_seconds=scenario.chunk_seconds)
    assert program.result(bytes.fromhex(run(scenario, program=program).result)) == enclose([reverse(chunk) for chunk in chunks])


@given(scenarios(associative=True))
def test_a_merge_applied_early_changes_nothing(case: tuple[Scenario, list[bytes]]) -> None:
    scenario, chunks = case
    program = Content(chunks, reverse, concatenate, chunk_seconds=scenario.chunk_seconds)
    assert program.result(bytes.fromhex(run(scenario, program=program).result)) == concatenate([reverse(c) for c in chunks])

"""ComplexityScore = data_size × operation_weight / available_capacity, in predicted seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.orchestrator.limits import THRESHOLD_SECONDS
from pangea.compute.orchestrator.rules import score as score_module
from pangea.compute.orchestrator.rules.score import (
    FLOPS_PER_CORE,
    OPERATION_WEIGHTS,
    SECONDS_PER_FUEL,
    Role,
    Score,
    Weights,
    score,
)
from tests.fakes.node import Node
from tests.fakes.packets import CHUNK_BYTES, spec_of

MIB = 1 << 20


def a_score(data_size: int, operation_weight: float, available_capacity: float) -> Score:
    return Score(
        data_size=data_size, operation_weight=operation_weight, available_capacity=available_capacity, source="of this test"
    )


@given(
    data_size=st.integers(0, 1 << 50),
    operation_weight=st.floats(1e-12, 1e3),
    available_capacity=st.floats(0.5, 1e6),
)
def test_the_score_is_data_size_times_operation_weight_over_available_capacity(
    data_size: int, operation_weight: float, available_capacity: float
) -> None:
    assert a_score(data_size, operation_weight, available_capacity).seconds == data_size * operation_weight / available_capacity


def test_above_the_threshold_a_node_is_manager_else_worker() -> None:
    assert THRESHOLD_SECONDS == 2.0
    assert a_score(20, 0.1, 1.0).role is Role.WORKER
    assert a_score(21, 0.1, 1.0).role is Role.MANAGER
    assert a_score(21, 0.1, 2.0).role is Role.WORKER


@pytest.mark.parametrize("operation_type", OPERATION_WEIGHTS)
def test_before_anything_ran_the_weight_is_guessed_by_operation_type(operation_type: str) -> None:
    spec = spec_of(operation_type=operation_type, estimated_flops=0.0)
    assert Weights().weight(spec, "execute", MIB) == (
        OPERATION_WEIGHTS[operation_type],
        f"guessed for operationType {operation_type!r}",
    )


def test_an_unknown_operation_type_weighs_what_an_unnamed_one_does() -> None:
    assert Weights().weight(spec_of(operation_type="knitting", estimated_flops=0.0), "execute", MIB)[0] == OPERATION_WEIGHTS[""]


def test_estimated_flops_go_before_the_table() -> None:
    spec = spec_of(operation_type="byte_scan", estimated_flops=FLOPS_PER_CORE * 100)
    found = score(spec, Weights(), size_bytes=MIB, free_cores=4)
    assert found.seconds == pytest.approx(25.0)
    assert found.source == "from estimatedFlops"


def test_what_the_module_was_seen_to_cost_goes_before_all_guesses() -> None:
    weights, spec = Weights(), spec_of(operation_type="simulation")
    weights.observe(spec, "execute", size_bytes=1_000, fuel=5_000_000)
    weights.measure(fuel=10**12, seconds=4_000.0)
    weight, source = weights.weight(spec, "execute", MIB)
    assert weight == pytest.approx(5_000 * 4e-9, rel=0.01)
    assert source == "learned from this module"


def test_fuel_per_byte_is_kept_apart_by_module_and_function() -> None:
    weights = Weights()
    weights.observe(spec_of(module="m1"), "execute", size_bytes=1, fuel=100)
    assert weights.weight(spec_of(module="m1"), "merge", 1)[1] != "learned from this module"
    assert weights.weight(spec_of(module="m2"), "execute", 1)[1] != "learned from this module"


def test_what_was_seen_lately_counts_more_and_more() -> None:
    weights, spec = Weights(), spec_of()
    weights.observe(spec, "execute", size_bytes=1, fuel=1_000)
    for _ in range(20):
        weights.observe(spec, "execute", size_bytes=1, fuel=10)
    assert weights.weight(spec, "execute", 1)[0] == pytest.approx(10 * SECONDS_PER_FUEL, rel=0.1)


def test_an_empty_input_teaches_nothing_of_what_a_byte_costs() -> None:
    weights, spec = Weights(), spec_of(operation_type="", estimated_flops=0.0)
    weights.observe(spec, "execute", size_bytes=0, fuel=5_000_000)
    assert weights.weight(spec, "execute", MIB)[1].startswith("guessed")
    assert weights.predict(spec, size_bytes=MIB) is None
    weights.observe(spec, "execute", size_bytes=1_000, fuel=1_000_000)
    assert weights.weight(spec, "execute", MIB)[0] == pytest.approx(1_000 * SECONDS_PER_FUEL)


def test_an_input_of_a_few_bytes_hardly_counts_beside_a_large_one() -> None:
    weights, spec = Weights(), spec_of(operation_type="", estimated_flops=0.0)
    weights.observe(spec, "execute", size_bytes=10, fuel=1_000_000)  # what any call costs: 100,000 a byte
    weights.observe(spec, "execute", size_bytes=100_000, fuel=1_000_000 + 100 * 100_000)
    assert weights.weight(spec, "execute", MIB)[0] == pytest.approx(117 * SECONDS_PER_FUEL, rel=0.01)


def test_a_node_s_first_work_of_some_length_replaces_the_guess_of_its_pace_and_what_follows_adjusts_it() -> None:
    weights = Weights()
    assert weights.seconds_per_fuel == pytest.approx(SECONDS_PER_FUEL)
    weights.measure(fuel=10**11, seconds=100.0)
    assert weights.seconds_per_fuel == pytest.approx(1e-9, rel=0.01)
    weights.measure(fuel=10**11, seconds=200.0)
    assert 1e-9 < weights.seconds_per_fuel < 2e-9


def test_a_task_that_is_over_at_once_hardly_changes_the_pace() -> None:
    weights = Weights()
    weights.measure(fuel=100_000, seconds=0.02)  # 1,000 times the guess: what it takes to start a task
    assert weights.seconds_per_fuel == pytest.approx(SECONDS_PER_FUEL, rel=0.3)


@pytest.mark.parametrize(("fuel", "seconds"), [(0, 1.0), (10, 0.0), (-1, 1.0), (1, -1.0)])
def test_a_measure_that_makes_no_sense_is_ignored(fuel: int, seconds: float) -> None:
    weights = Weights()
    weights.measure(fuel=fuel, seconds=seconds)
    assert weights.seconds_per_fuel == pytest.approx(SECONDS_PER_FUEL)


def test_no_free_core_counts_as_half_a_core_and_no_bytes_as_no_time() -> None:
    spec = spec_of(estimated_flops=0.0)
    assert score(spec, Weights(), size_bytes=MIB, free_cores=0).available_capacity == 0.5
    assert score(spec, Weights(), size_bytes=0, free_cores=0).seconds == 0.0
    assert score(spec_of(), Weights(), size_bytes=0, free_cores=1).seconds == 0.0


def test_the_score_shows_all_its_figures_in_one_line() -> None:
    assert str(a_score(1_000_000, 1e-5, 2.0)) == (
        "score 5 s = 1,000,000 bytes × 1e-05 core-s/byte / 2 free cores (weight of this test); threshold 2 s: manager"
    )


def test_a_light_job_stays_at_home_though_there_are_children() -> None:
    with Node(chunk_seconds=0.01) as node:
        node.join_child("a")
        node.submit(10, estimated_flops=FLOPS_PER_CORE)
        assert node.asked("a") == []
        assert node.job().role is Role.WORKER
        assert node.job().score == Score(
            data_size=10 * CHUNK_BYTES,
            operation_weight=1 / (10 * CHUNK_BYTES),
            available_capacity=1,
            source="from estimatedFlops",
        )
        node.play({"a": lambda packet: None})


def test_a_job_that_proves_heavier_than_guessed_is_delegated_after_all() -> None:
    with Node() as node:
        node.join_child("a")
        node.submit(10, estimated_flops=FLOPS_PER_CORE)
        node.executes(*node.started())
        assert node.job().role is Role.MANAGER
        assert node.job().score is not None
        assert "learned from this module" in str(node.job().score)
        assert node.asked("a")
        node.started()


def test_what_modules_cost_is_kept_of_so_many_and_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_module, "_MODULES_MAX", 3)
    weights = Weights()
    specs = [spec_of(module=f"{number:064x}") for number in range(5)]
    for spec in [*specs[:3], specs[0], *specs[3:]]:
        weights.observe(spec, "execute", size_bytes=1000, fuel=5000)
    known = [spec for spec in specs if weights.weight(spec, "execute", 1000)[1] == "learned from this module"]
    assert known == [specs[0], specs[3], specs[4]]

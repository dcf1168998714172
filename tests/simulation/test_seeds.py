"""The fault mix: each seed draws a job, a tree, liars and faults; whatever it is, every checker holds, and the run repeats."""

from __future__ import annotations

import pytest

from pangea.compute.cli.sim_options import replay_command
from pangea.compute.simulation.checkers import CheckError
from pangea.compute.simulation.run import recorded
from pangea.compute.simulation.scenario import draw_scenario

SEEDS = 12
SEEDS_LONG, AT_ONCE = 1000, 50


def violation(seed: int) -> str:
    """What a seed violates, with all that is needed to look into it; "" if nothing."""
    scenario = draw_scenario(seed)
    outcome, trace = recorded(scenario)
    if not isinstance(outcome, CheckError):
        return ""
    return "\n".join([str(outcome), *trace.tail(), f"seed: {seed}", f"replay: {replay_command(scenario, is_mix=True)}"])


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_checker_is_violated(seed: int) -> None:
    assert violation(seed) == ""


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(SEEDS, SEEDS_LONG, AT_ONCE))
def test_no_checker_is_violated_by_many_more_seeds(first: int) -> None:
    assert "\n\n".join(filter(None, map(violation, range(first, min(first + AT_ONCE, SEEDS_LONG))))) == ""


def test_the_same_seed_gives_the_same_trace() -> None:
    hashes = []
    for _ in range(2):
        _, trace = recorded(draw_scenario(7))
        hashes.append(trace.digest())
    assert hashes[0] == hashes[1]


def test_another_seed_gives_another_trace() -> None:  # else the seed isn't wired in
    assert len({recorded(draw_scenario(seed))[1].digest() for seed in (1, 2)}) == 2


def test_the_mix_has_runs_with_and_without_each_feature() -> None:
    faults = [draw_scenario(seed).faults for seed in range(100)]
    for name in ("loss", "duplicate", "reorder", "clogged", "partitions", "crash", "power_loss", "churn", "stalls", "stragglers"):
        having = sum(bool(getattr(one, name)) for one in faults)
        assert 20 < having < 80, name

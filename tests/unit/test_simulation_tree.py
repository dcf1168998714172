from __future__ import annotations

from collections import Counter

import pytest

from pangea.compute.simulation.liars import LIARS
from pangea.compute.simulation.scenario import Scenario
from pangea.compute.simulation.tree import draw_liars, levels, parents, speed_of


@pytest.mark.parametrize(
    ("nodes", "depth", "width"), [(1, 0, 0), (2, 1, 1), (17, 1, 16), (18, 2, 5), (1000, 2, 32), (4000, 2, 64), (10_000, 3, 22)]
)
def test_the_tree_is_as_flat_as_64_children_allow(nodes: int, depth: int, width: int) -> None:
    above = parents(nodes, 0)
    assert len(above) == nodes
    assert len(levels(nodes, 0)) == depth + 1
    assert max(Counter(above[1:]).values(), default=0) <= width


@pytest.mark.parametrize("nodes", [1, 2, 9, 64, 1000])
@pytest.mark.parametrize("fan_out", [1, 2, 4, 64])
def test_every_node_has_a_parent_that_came_before_it(nodes: int, fan_out: int) -> None:
    above = parents(nodes, fan_out)
    assert above[0] == -1
    assert all(0 <= parent < number for number, parent in enumerate(above) if number)
    assert len(levels(nodes, fan_out)) <= 9  # deeper than eight hops nothing is delegated


def test_the_nodes_of_a_level_are_spread_evenly() -> None:
    counts = Counter(parents(10_000, 0)[507:])
    assert set(counts.values()) <= {19, 20}


def test_speeds_have_an_average_of_one_and_the_spread_asked_for() -> None:
    assert speed_of(10.0, 1.0) / speed_of(10.0, 0.0) == pytest.approx(10.0)
    assert sum(speed_of(10.0, draw / 100) for draw in range(101)) / 101 == pytest.approx(1.0)


@pytest.mark.parametrize("nodes", [2, 5, 40, 1000])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
def test_as_many_nodes_lie_as_asked_and_never_the_owner(nodes: int, share: float) -> None:
    scenario = Scenario(nodes=nodes, malicious=share)
    drawn = draw_liars(scenario, parents(nodes, 0))
    assert len(drawn) == max(1, min(round(share * nodes), nodes - 1))
    assert 0 not in drawn


def test_all_kinds_of_liars_are_there() -> None:
    assert set(draw_liars(Scenario(nodes=1000, malicious=0.2), parents(1000, 0)).values()) == set(LIARS)


def test_those_who_tamper_have_something_to_tamper_with() -> None:
    above = parents(200, 0)
    drawn = draw_liars(Scenario(nodes=200, malicious=0.05, liars=("tamperer", "dropper", "lazy")), above)
    assert "tamperer" in drawn.values()
    assert all(number in above for number, kind in drawn.items() if kind != "lazy")


def test_managers_lie_no_more_often_than_others() -> None:
    above = parents(4000, 0)
    managers = {parent for parent in above if parent > 0}
    drawn = draw_liars(Scenario(nodes=4000, malicious=0.2), above)
    assert len(managers & set(drawn)) / len(managers) == pytest.approx(0.2, abs=0.15)


def test_a_swarm_is_a_manager_with_its_children() -> None:
    above = parents(200, 0)
    drawn = draw_liars(Scenario(nodes=200, malicious=0.1, liars=("sybil",)), above)
    assert any(above[number] in drawn for number in drawn)


def test_nobody_lies_in_an_honest_world() -> None:
    assert draw_liars(Scenario(nodes=10), parents(10, 0)) == {}

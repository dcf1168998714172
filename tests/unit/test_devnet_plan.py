"""Who is who in a devnet."""

from __future__ import annotations

from collections import Counter

import pytest

from pangea.compute.cli.devnet_plan import fan_out, plan
from pangea.compute.model.errors import ConfigError, ManifestError


@pytest.mark.parametrize("depth", range(1, 9))
def test_every_tree_is_as_deep_as_asked_and_balanced(depth: int) -> None:
    for nodes in range(depth + 1, 140, 3):
        places = plan(nodes, depth)
        assert len(places) == nodes
        assert max(place.level for place in places) == depth
        below = Counter(place.parent for place in places if place.parent is not None)
        assert max(below.values()) <= fan_out(nodes, depth)
        for level in range(depth):
            counts = [below[place.number] for place in places if place.level == level]
            assert max(counts) - min(counts) <= 1, f"{nodes} nodes of depth {depth}: level {level} has {counts}"
        for place in places[1:]:
            assert place.parent is not None
            assert places[place.parent].level == place.level - 1
            assert place.has_children == (place.number in below)


def test_seven_nodes_of_depth_two_are_a_binary_tree() -> None:
    assert [(place.parent, place.role) for place in plan(7, 2)] == [
        (None, "owner"),
        *[(0, "manager")] * 2,
        *[(1, "worker"), (2, "worker")] * 2,
    ]
    assert [place.role for place in plan(1, 0)] == ["owner"]


@pytest.mark.parametrize(
    ("nodes", "depth", "message"),
    [
        (3, 3, "3 nodes are too few for depth 3: that takes 4 at least"),
        (7, 9, "a tree of 7 nodes has depth 1 to 8"),
        (7, 0, "not 0"),
        (1, 2, "one node: 0"),
        (0, 0, "0 nodes; there must be 1 to 1,000"),
    ],
)
def test_what_can_not_be_names_the_figures(nodes: int, depth: int, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        plan(nodes, depth)


def test_liars_are_leaves_in_different_branches_or_managers_if_they_need_children() -> None:
    places = plan(7, 2, liars=["random:1", "clique:1:0.5", "tamperer:2"], slow=1, behind_nat=2)
    assert [place.sabotage for place in places] == ["", "tamperer", "tamperer", "random", "clique:0.5", "slow", ""]
    assert places[3].parent != places[4].parent
    assert [place.number for place in places if place.is_behind_nat] == [5, 6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"liars": ["random"]}, "doesn't say how many: give KIND:COUNT"),
        ({"liars": ["random:x"]}, "doesn't say how many"),
        ({"liars": ["random:5"]}, "too few leaves .* 7 nodes of depth 2 have none left for random"),
        ({"liars": ["copier:3"]}, "too few managers"),
        ({"liars": ["random:3"], "slow": 2}, "have none left for slow"),
        ({"behind_nat": 5}, "5 nodes can't be behind a NAT: 4 of 7 have no children"),
        ({"behind_nat": -1}, "-1 nodes can't be"),
    ],
)
def test_too_many_of_a_kind_names_the_figures(options: dict[str, object], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        plan(7, 2, **options)  # type: ignore[arg-type]


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ConfigError, match="'liar' is no kind of sabotage"):
        plan(7, 2, liars=["liar:2"])
    with pytest.raises(ConfigError, match="it must be 0 to 1"):
        plan(7, 2, liars=["random:2:7"])


def test_a_branch_is_at_one_site() -> None:
    places = plan(13, 2, sites=["lab", "home"])
    assert [place.site for place in places[:4]] == ["lab", "home", "lab", "home"]
    for place in places[4:]:
        assert place.parent is not None
        assert place.site == places[place.parent].site
    assert {place.site for place in plan(7, 2)} == {""}

"""Shaders go where an adapter is, and nowhere else; what they cost is learned apart."""

from __future__ import annotations

import pytest

from pangea.compute.cli.devnet_plan import adapters
from pangea.compute.model.errors import ConfigError, ManifestError
from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.network.rpc.notes import message_of, note_of, record_of
from pangea.compute.network.rpc.peer_messages import spec_from_json, spec_to_json
from pangea.compute.node.config import load
from pangea.compute.orchestrator.core.messages import Beat
from pangea.compute.orchestrator.lifecycle.explain import explain
from pangea.compute.orchestrator.rules.score import SECONDS_PER_FUEL, SECONDS_PER_SHADER_FUEL, Weights
from tests.fakes.node import Node
from tests.fakes.owner import finish
from tests.fakes.packets import spec_of

NONE = VerificationMode.NONE
WHY = "execute is a shader, and no adapter is there"


def tree(node: Node, **adapters: int) -> None:
    """Children with so many adapters in their subtrees, as they say."""
    for name, count in adapters.items():
        node.join_child(name, cores=2)
        node.beats(name, cores=2, nodes=2, height=1, adapters=count)


def test_only_children_with_an_adapter_below_them_are_given_shaders() -> None:
    with Node() as node:
        node.core.me.adapters = 1
        tree(node, bare=0, fitted=1)
        node.submit(3, verification=NONE, locality=Locality.ANY, needs_adapter=True)
        asks, starts = node.asked("fitted"), node.started()
        assert len(asks) + len(starts) == 3
        assert asks
        assert node.asked("bare") == []
        candidates = {each.peer: each.objection for each in explain(node.core, node.task(asks[0].packet.start)).candidates}
        assert candidates[PeerId("bare")] == WHY
        assert candidates[PeerId("fitted")] != WHY
        node.answers("fitted", *asks)
        node.executes(*starts)
        finish(node)


def test_other_jobs_go_to_all_of_them() -> None:
    with Node() as node:
        tree(node, bare=0, fitted=1)
        node.submit(5, verification=NONE, locality=Locality.ANY)
        bare, fitted, starts = node.asked("bare"), node.asked("fitted"), node.started()
        assert bare
        assert fitted
        node.answers("bare", *bare)
        node.answers("fitted", *fitted)
        node.executes(*starts)
        finish(node)


def test_a_manager_without_an_adapter_passes_shaders_on_and_executes_none() -> None:
    with Node(cores=4) as node:
        tree(node, fitted=1)
        node.join_parent("p")
        numbers = node.delegates("p", chunks=2, needs_adapter=True)
        assert node.started() == []
        asks = node.asked("fitted")
        node.answers("fitted", *asks)
        node.passes(1.0)
        assert sorted(number for number, _ in node.told("p")) == sorted(numbers)


def test_what_stands_behind_a_node_says_how_many_adapters() -> None:
    with Node() as node:
        node.core.me.adapters = 1
        node.join_parent("p")
        tree(node, one=2, other=3)
        node.passes(1.0)
        beats = [message for peer, message in node.heartbeats if peer == "p" and isinstance(message, Beat)]
        assert beats[-1].adapters == 6


def test_a_child_that_says_it_has_none_after_all_is_not_asked_for_that_task_again() -> None:
    with Node() as node:
        node.core.me.adapters = 1
        tree(node, boaster=1)
        node.keep_busy()
        node.submit(1, verification=NONE, locality=Locality.ANY, needs_adapter=True)
        (ask,) = node.asked("boaster")
        node.fails("boaster", ask, FailureKind.NO_ADAPTER)
        assert node.task().unfit == (PeerId("boaster"),)
        node.passes(30.0)
        assert node.asked("boaster") == []


def test_the_pace_of_shaders_is_learned_apart_from_that_of_all_else() -> None:
    weights, shader, other = Weights(), spec_of(needs_adapter=True), spec_of(module="other")
    for spec in (shader, other):
        weights.observe(spec, "execute", size_bytes=1_000, fuel=1_000_000)
    weights.measure(fuel=10**9, seconds=10.0, is_shader=True)
    assert weights.seconds_per_fuel == SECONDS_PER_FUEL
    assert weights.weight(other, "execute", 1_000)[0] == pytest.approx(1_000 * SECONDS_PER_FUEL)
    assert weights.weight(shader, "execute", 1_000)[0] == pytest.approx(1_000 * 1e-8, rel=0.05)
    assert weights.predict(shader, size_bytes=1_000_000) == pytest.approx(10.0, rel=0.05)
    assert Weights().seconds(10**6, is_shader=True) == pytest.approx(10**6 * SECONDS_PER_SHADER_FUEL)
    assert not shader.has_shader("merge")


def test_it_travels_and_nodes_that_know_of_none_are_understood() -> None:
    beat = Beat(cores=1, window=1, nodes=1, height=0, adapters=1)
    assert message_of(record_of(note_of(beat))) == beat
    assert message_of({"kind": "beat", "cores": 1, "window": 1, "nodes": 1, "height": 0}) == Beat(
        cores=1, window=1, nodes=1, height=0
    )
    assert "needs_adapter" not in spec_to_json(spec_of())
    assert spec_from_json(spec_to_json(spec_of(needs_adapter=True))).needs_adapter


def test_a_node_opens_up_no_adapter_unless_it_is_told_to() -> None:
    assert load({}, environ={}, files=[])[0].gpu == "off"
    assert load({"gpu": "software"}, environ={}, files=[])[0].gpu == "software"
    assert load({"gpu": "/opt/icd.json"}, environ={}, files=[])[0].gpu == "/opt/icd.json"
    for which in ("fast", "icd.json", "/opt/driver.so"):
        with pytest.raises(ConfigError, match="or the path of a Vulkan driver's"):
            load({"gpu": which}, environ={}, files=[])


def test_a_devnets_nodes_take_the_adapters_that_are_named_in_turn() -> None:
    assert adapters("software") == ["software"]
    assert adapters("off, /opt/icd.json") == ["off", "/opt/icd.json"]
    with pytest.raises(ManifestError, match="--gpu 'fast' is none of auto, software, hardware, off"):
        adapters("software,fast")

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.cli.sim_options import SimOptions, replay_command
from pangea.compute.model.errors import ManifestError
from pangea.compute.simulation import faults, scenario
from pangea.compute.simulation.faults import Faults
from pangea.compute.simulation.liars import LIARS
from pangea.compute.simulation.scenario import Scenario, draw_scenario


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("nodes", 0, "nodes is 0; it must be an integer between 1 and 100,000"),
        ("nodes", 2.5, "nodes is 2.5; it must be an integer"),
        ("nodes", True, "nodes is True; it must be an integer"),
        ("malicious", 1.5, "malicious is 1.5; it must be a number between 0.0 and 0.9"),
        ("chunk_seconds", float("nan"), "chunk_seconds is nan; it must be a number between"),
        ("liars", ("lazzy",), "liars is 'lazzy'; it must be one of random, lazy,"),
        ("verification", "adaptiv", "verification is 'adaptiv'; it must be one of none, hash,"),
    ],
)
def test_a_value_out_of_range_is_named_with_the_range_and_a_remedy(name: str, value: Any, said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        Scenario(**{name: value})
    assert caught.value.message.startswith(said)
    assert caught.value.hint


def test_faults_are_checked_too() -> None:
    with pytest.raises(ManifestError, match=r"loss is 0\.9; it must be a number between 0\.0 and 0\.5"):
        Faults(loss=0.9)


def test_liars_need_somebody_who_can_lie() -> None:
    with pytest.raises(ManifestError, match="malicious needs somebody who can lie"):
        Scenario(nodes=1, malicious=0.5)


@pytest.mark.parametrize("options", [Scenario, Faults])
def test_every_number_has_a_range(options: type) -> None:
    ranges = scenario.RANGES if options is Scenario else faults.RANGES
    numbers = [field.name for field in fields(options) if field.type in ("int", "float")]
    assert sorted(numbers) == sorted(ranges)


def test_every_field_is_an_option_of_the_command() -> None:
    options = {field.name for field in fields(SimOptions)}
    known = {field.name for field in (*fields(Scenario), *fields(Faults))}
    assert options == known - {"seed", "faults"}


def test_one_purpose_draws_what_it_draws_whatever_others_do() -> None:
    one = Scenario(seed=1)
    assert one.stream("a").random() == one.stream("a").random()
    assert len({one.stream("a").random(), one.stream("b").random(), Scenario(seed=2).stream("a").random()}) == 3


def test_a_command_replays_a_scenario() -> None:
    wanted = Scenario(
        seed=3,
        nodes=50,
        chunk_seconds=0.25,
        associative=True,
        malicious=0.2,
        liars=("lazy", "copier"),
        bandwidth=1e6,
        faults=Faults(loss=0.01, partitions=2),
    )
    command = replay_command(wanted, is_mix=False)
    assert command == (
        "pangea sim --nodes 50 --chunk-seconds 0.25 --associative --bandwidth 1000000 --malicious 0.2 --liars lazy,copier"
        " --loss 0.01 --partitions 2 --seed 3"
    )
    options = SimOptions(
        nodes=50,
        chunk_seconds="0.25",
        associative=True,
        bandwidth="1000000",
        malicious=0.2,
        liars="lazy,copier",
        loss=0.01,
        partitions=2,
    )
    assert options.scenario(3, is_mix=False) == wanted


def test_a_mix_is_replayed_by_its_seed_alone() -> None:
    assert replay_command(draw_scenario(17), is_mix=True) == "pangea sim --mix --seed 17"
    assert SimOptions().scenario(17, is_mix=True) == draw_scenario(17)
    with pytest.raises(ManifestError, match="--mix draws everything from the seed, --nodes too"):
        SimOptions(nodes=5).scenario(17, is_mix=True)


def test_the_docs_know_every_option_and_every_kind_of_liar() -> None:
    text = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
    missing = [name for field in fields(SimOptions) if f"`{(name := '--' + field.name.replace('_', '-'))}" not in text]
    missing += [kind for kind in LIARS if f"| `{kind}` |" not in text]
    assert missing == []

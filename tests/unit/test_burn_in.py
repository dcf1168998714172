"""A machine's own test: what it computes, and what a node says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pangea.compute.cli import burn_in
from pangea.compute.cli.burn_in import burn
from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import PeerError
from pangea.compute.network.peers.hello import Hello
from pangea.compute.node.storage.burn_in import burn_in_age, note_burn_in


def test_all_is_well_on_a_machine_that_computes_rightly_and_that_is_noted(engine: Engine, tmp_path: Path) -> None:
    assert burn_in_age(tmp_path) == -1
    (finding,) = burn_in.burn_in(0.0, tmp_path)
    assert finding.is_ok, finding.text
    assert 0 <= burn_in_age(tmp_path) < 100


def test_one_that_computes_wrong_says_where_and_nothing_is_noted(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(burn_in, "expected", lambda chunk: burn(chunk).replace(b"0", b"1") if chunk == b"9" else burn(chunk))
    (finding,) = burn_in.burn_in(0.0, tmp_path)
    assert finding.is_ok is False
    assert finding.text == "this machine computes wrong: round 1, chunk 9"
    assert burn_in_age(tmp_path) == -1


def test_its_age_is_told_and_no_other_nonsense(tmp_path: Path) -> None:
    note_burn_in(tmp_path)
    os.utime(tmp_path / "burn-in", (0, 0))
    assert burn_in_age(tmp_path) > 50 * 365 * 86_400
    assert Hello.from_json(Hello(tested=7).to_json()).tested == 7
    for tested in (-2, 2**31, 1.5, True, "x", None):
        with pytest.raises(PeerError):
            Hello.from_json({"tested": tested})

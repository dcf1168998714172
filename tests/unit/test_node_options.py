"""Which node the flags of a command name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pangea.compute.cli.node_options import NodeOptions, print_record
from pangea.compute.model.errors import ConfigError
from pangea.compute.network.peers.address import NodeAddress


def test_a_data_directory_is_a_path_whether_or_not_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = NodeOptions(data_dir=Path("D")).address()
    assert given == f"{tmp_path}/D"
    assert NodeAddress.parse(given).path == tmp_path / "D"
    (tmp_path / "D").mkdir()
    assert NodeAddress.parse(given).path == tmp_path / "D" / "rpc.sock"
    assert NodeOptions(data_dir=Path("~/D")).address() == "~/D"
    assert NodeOptions(node="tcp://a:1/b", data_dir=Path("D")).address() == "tcp://a:1/b"
    assert NodeOptions().address() is None


def test_a_node_that_is_called_like_a_missing_folder_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="there is no such folder here"):
        NodeAddress.parse("D")


def test_a_record_is_printed_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    record = {
        "state": "complete",
        "ended_at": 1_796_000_000.25,
        "begun_at": None,
        "fuel": 12_345_678,
        "uptime": 961.0153823670007,
        "capacity": {"cpu_cores": 4, "current_load": 0.5, "adapter": ""},
    }
    print_record(record, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "state     complete",
        "ended at  2026-11-30 00:53:20 UTC",
        "begun at  None",
        "fuel      12345678",
        "uptime    961.015",
        "capacity  cpu cores 4, current load 0.5",
    ]

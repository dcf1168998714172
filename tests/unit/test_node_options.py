"""Which node the flags of a command name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pangea.compute.cli.node_options import NodeOptions
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

"""What `deploy/` and the docs say is what the program understands."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path

from pangea.compute.cli.node import Settings, app
from pangea.compute.node.config import NodeConfig

ROOT = Path(__file__).parents[2]


def test_the_unit_s_command_line_is_understood() -> None:
    unit = (ROOT / "deploy" / "pangea-node.service").read_text()
    words = shlex.split(next(line for line in unit.splitlines() if line.startswith("ExecStart=")).removeprefix("ExecStart="))
    assert words[0].endswith("/pangea")
    assert words[1] == "node"
    _, bound, _ = app.parse_args(words[2:])
    assert str(bound.arguments["flags"].data_dir) == "/var/lib/pangea"


def test_the_unit_keeps_its_walls_and_leaves_the_engine_its_own() -> None:
    unit = (ROOT / "deploy" / "pangea-node.service").read_text()
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "CapabilityBoundingSet="):
        assert f"\n{line}\n" in unit
    assert not re.search(r"^(MemoryDenyWriteExecute|RestrictNamespaces)=", unit, re.MULTILINE)


def test_every_setting_is_a_flag_and_in_the_table_with_its_default() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \|([^|]*)\|", (ROOT / "docs" / "node.md").read_text(), re.MULTILINE))
    assert list(table) == [field.name for field in fields(NodeConfig)]
    assert {field.name for field in fields(Settings)} == set(table)
    for field in fields(NodeConfig):
        said = table[field.name].strip().replace(",", "")
        if isinstance(field.default, bool):
            assert said == str(field.default).lower(), field.name
        elif isinstance(field.default, int | float) and "GiB" not in said:
            assert float(said) == field.default, field.name

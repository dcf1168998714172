"""What `deploy/` and the docs say is what the program understands."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

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


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze isn't here (apt-get install systemd)")
def test_systemd_has_nothing_to_say_of_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "pangea-node.service"
    text = (ROOT / "deploy" / "pangea-node.service").read_text()
    unit.write_text(text.replace("/opt/pangea/bin/pangea", sys.executable))  # which is there, as the command isn't
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], check=False, capture_output=True, text=True, timeout=50)
    said = f"{done.stdout}{done.stderr}".splitlines()  # also of this machine's other units, which are none of ours
    assert [line for line in said if "pangea" in line] == []


def test_the_containers_command_lines_are_understood() -> None:
    yaml = pytest.importorskip("yaml", reason="no PyYAML: pip install pyyaml")
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    containerfile = (ROOT / "deploy" / "Containerfile").read_text()
    assert 'ENTRYPOINT ["pangea", "node", "start"]' in containerfile
    assert "\nUSER 10001\n" in containerfile, "a number: Kubernetes can't tell otherwise that it isn't root"
    for name, service in services.items():
        command = [re.sub(r"\$\{\w+:-(\w*)\}", r"\1", word) for word in service["command"]]
        _, bound, _ = app.parse_args(["start", *command])
        assert bound.arguments["flags"].join if name == "worker" else bound.arguments["flags"].listen


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

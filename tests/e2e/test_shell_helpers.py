"""`pangea --version`, `pangea id` and `pangea completion`."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PANGEA = str(Path(sys.executable).with_name("pangea"))


def pangea(folder: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run([PANGEA, *words], cwd=folder, capture_output=True, text=True, timeout=50, check=False, env=environment)
    return done.returncode, done.stdout, done.stderr


def test_the_version_is_the_package_s(tmp_path: Path) -> None:
    assert pangea(tmp_path, "--version") == (0, f"pangea {importlib.metadata.version('pangea-compute')}\n", "")


def test_an_id_is_made_once_and_stays(tmp_path: Path) -> None:
    code, first, _ = pangea(tmp_path, "id", "--identity", "my.key")
    assert (code, first[:8]) == (0, "12D3KooW")
    assert (tmp_path / "my.key").stat().st_mode & 0o777 == 0o600
    assert pangea(tmp_path, "id", PANGEA_IDENTITY="my.key") == (0, first, "")


def test_an_id_of_nothing_says_what_to_give(tmp_path: Path) -> None:
    code, out, err = pangea(tmp_path, "id")
    assert (code, out) == (2, "")
    assert "PANGEA_IDENTITY" in err


@pytest.mark.long
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_says_where_it_belongs_and_names_commands(shell: str, tmp_path: Path) -> None:
    code, script, err = pangea(tmp_path, "completion", shell)
    assert (code, err) == (0, "")
    assert script.splitlines()[1].startswith(f"# pangea completion {shell} > ")
    assert "--split-strategy" in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True, check=False, timeout=20).returncode == 0


def test_bash_completes_a_command(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(pangea(tmp_path, "completion", "bash")[1])
    line = 'source ./script; COMP_WORDS=(pangea doc); COMP_CWORD=1; COMP_LINE="pangea doc"; _pangea; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "doctor\n"

"""`pangea --version`, `pangea id` and `pangea completion`."""

from __future__ import annotations

import importlib.metadata
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.examples import first

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


@pytest.mark.long
def test_bash_completes_files_where_there_is_nothing_else(tmp_path: Path) -> None:
    assert "\ncomplete -o default -F _pangea pangea\n" in pangea(tmp_path, "completion", "bash")[1]


@pytest.mark.long
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish isn't here (apt-get install fish)")
@pytest.mark.parametrize(("typed", "found"), first(1, [("pangea doc", "doctor"), ("pangea run jo", "job.py")]))
def test_fish_completes(typed: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("")
    (tmp_path / "script").write_text(pangea(tmp_path, "completion", "fish")[1])
    command = ["fish", "--no-config", "-c", f"source script; complete -C '{typed}'"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True)
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [found]


@pytest.mark.long
@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh isn't here (apt-get install zsh)")
@pytest.mark.parametrize("loaded", first(1, ["fpath=($PWD $fpath); compinit -u -D", "compinit -u -D; source ./_pangea"]))
def test_zsh_completes_however_the_script_is_loaded(loaded: str, tmp_path: Path) -> None:
    """On a terminal, as only there is anything completed: commands, job files, and files of options."""
    (tmp_path / "_pangea").write_text(pangea(tmp_path, "completion", "zsh")[1])
    (tmp_path / "jobs_of_mine.py").write_text("")
    ours, its = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=its, stdout=its, stderr=its, cwd=tmp_path, env=ZSH, start_new_session=True
    ) as zsh:
        os.close(its)
        try:
            os.write(ours, f"autoload -U compinit; {loaded}; echo read''y\n".encode())
            assert b"\nready" in read_until(ours, b"\nready")
            for typed, found in ZSH_COMPLETES.items():
                os.write(ours, f"{typed}\t".encode())
                assert found.encode() in read_until(ours, found.encode())
                os.write(ours, b"\x15")  # takes the line away
        finally:
            zsh.kill()
    os.close(ours)


#: A shell on a busy machine may take so long for a line.
_SHOWN_SECONDS = 30.0
ZSH = {"TERM": "dumb", "PATH": os.environ["PATH"], "PS1": "$ "}
ZSH_COMPLETES = {
    "pangea doc": "tor",
    "pangea job st": "atus",
    "pangea run jobs": "_of_mine.py",
    "pangea job submit jobs": "_of_mine.py",
    "pangea run x.py --input jobs": "_of_mine.py",
}


def read_until(terminal: int, wanted: bytes) -> bytes:
    """Read from a terminal until it has shown so much, or too long; what it has shown."""
    shown, end = b"", time.monotonic() + _SHOWN_SECONDS
    while wanted not in shown and select.select([terminal], [], [], max(0.0, end - time.monotonic()))[0]:
        shown += os.read(terminal, 4096).replace(b"\r", b"")
    return shown

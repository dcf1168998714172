"""What README and docs promise in code is run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from wasmtime import wat2wasm

from pangea.compute import ModuleJob, submit_job

ROOT = Path(__file__).parents[2]


def python_of(name: str, page: str = "README.md") -> str:
    """The Python of a page that begins like this."""
    text = (ROOT / page).read_text()
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if each.startswith(name))
    return str(code)


def commands_of(first: str, page: str = "README.md") -> str:
    """The block of commands of a page that begins like this."""
    text = (ROOT / page).read_text()
    (block,) = (each for each in re.findall(r"\n\n((?:    [^\n]+\n)+)", text) if each.strip().startswith(first))
    return textwrap.dedent(block)


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run commands in a folder, with the environment's own commands first."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    given = {name: value for name, value in os.environ.items() if not name.startswith("PANGEA_") or name == "PANGEA_CACHE_DIR"}
    return subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=folder,
        env=given | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


#: What the README's first job makes with `yes`: the commands below it read this file, at this size.
BIG = "a line of six short words\n" * 400_000


def test_the_call_of_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "call.py").write_text(python_of("from pangea.compute import map"))
    done = shell("python call.py", tmp_path)
    assert done.stdout == "[{0: (0, 1.5)}, {1: (1, 1.5)}, {2: (2, 1.5)}]\n", done.stderr


@pytest.mark.timeout(120)
def test_the_first_job_of_the_readme_runs_as_it_stands_in_an_empty_folder(tmp_path: Path) -> None:
    code = python_of("# words.py")
    (tmp_path / "words.py").write_text(code)
    done = shell(commands_of("python words.py"), tmp_path)
    assert done.returncode == 0, done.stderr
    words = len(code.split())
    by_script, by_command_and_pipe = done.stdout.splitlines()[0], done.stdout.splitlines()[-1]
    assert by_script == str(words)
    assert by_command_and_pipe.endswith(f"{words}{words}")
    assert (tmp_path / "count.txt").read_text() == "2400000"


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_node_of_the_readme_runs_as_it_stands_in_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(python_of("# words.py"))
    (tmp_path / "remote.py").write_text(python_of("from pangea.compute import Client"))
    (tmp_path / "big.log").write_text(BIG)
    ending = "trap 'kill %1; wait' EXIT\n"
    start, rest = commands_of("pip install 'pangea-compute[node]'").split("\n", 2)[1:]
    done = shell(f"set -m\n{start}\n{ending}{rest}\npython remote.py", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2400000") == 3
    assert done.stdout.splitlines()[-1] == "b'2400000'"
    assert (tmp_path / "report.html").stat().st_size > 10_000


@pytest.mark.long
def test_the_data_example_of_the_readme_runs_and_draws(tmp_path: Path) -> None:
    (tmp_path / "trips.py").write_text(python_of("# trips.py"))

    done = subprocess.run([sys.executable, "trips.py"], cwd=tmp_path, capture_output=True, timeout=50, check=True)

    assert [line.split()[1:] for line in done.stdout.decode().splitlines()[1:]] == [["Lima", "10.0"], ["Oslo", "9.0"]]
    assert (tmp_path / "trips.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
@pytest.mark.timeout(120)
def test_the_pictures_of_a_run_of_the_readme_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(python_of("# words.py"))
    (tmp_path / "big.log").write_text(BIG)
    done = shell(commands_of("pangea run words.py --input big.log --split-strategy row_based --verify"), tmp_path)
    assert (done.returncode, done.stdout) == (0, "2400000"), done.stderr
    assert (tmp_path / "timeline.svg").read_text().rstrip().endswith("</svg>")
    assert (tmp_path / "report.html").stat().st_size > 10_000


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_two_nodes_of_the_readme_find_each_other(tmp_path: Path) -> None:
    block = commands_of("pangea node start --data-dir A")
    there = "until pangea peer list --data-dir A | grep child; do sleep 1; done"
    done = shell(f"set -m\ntrap 'kill %1 %2; wait' EXIT\n{block}{there}", tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(200)
def test_the_devnet_of_the_readme_gives_the_exact_result_and_a_receipt_that_stands(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(python_of("# words.py"))
    (tmp_path / "big.log").write_text(BIG)
    done = shell(f"set -m\ntrap 'kill -INT %1; wait' EXIT\n{commands_of('pangea devnet --nodes 7 --depth 2')}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\n2400000" in done.stdout
    assert "verified" in done.stdout


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_simulation_of_the_readme_accepts_nothing_wrong_from_as_many_kinds_as_it_says(tmp_path: Path) -> None:
    done = shell(commands_of("pangea sim --nodes 1000"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "wrong results accepted: 0\n" in done.stdout
    kinds = re.search(r"20 % malicious \(([^)]*)\)", done.stdout)
    assert kinds is not None
    assert kinds[1].count(",") + 1 == 14
    assert "lying in fourteen ways" in (ROOT / "README.md").read_text()


def test_the_module_of_the_docs_runs() -> None:
    text = (ROOT / "docs" / "modules.md").read_text()
    wat = textwrap.dedent(text[text.index("    (module") :])
    result = submit_job(ModuleJob(bytes(wat2wasm(wat))), b"x" * 100_000, split_strategy="fixed_size", max_chunk_size=65_536)
    assert [int.from_bytes(result[i : i + 4], "little") for i in (0, 4)] == [65_536, 34_464]


@pytest.mark.long
def test_the_numpy_of_the_docs_gives_what_numpy_gives(tmp_path: Path) -> None:
    (tmp_path / "energy.py").write_text(python_of("import numpy as np", "docs/numpy.md"))
    done = subprocess.run([sys.executable, "energy.py"], cwd=tmp_path, capture_output=True, timeout=50, check=True)
    signal = np.random.default_rng(1).random(1_000_000)
    parts = [(np.abs(np.fft.rfft(signal[at : at + 4096])) ** 2).sum() for at in range(0, len(signal), 4096)]
    assert float(done.stdout.decode().strip(" []\n")) == pytest.approx(sum(parts))


TUTORIAL = "docs/tutorial.md"
#: Between 1,000,000,001 and 1,000,020,000.
PRIMES = "958"


@pytest.mark.long
@pytest.mark.timeout(220)
def test_the_tutorial_runs_as_it_stands_in_an_empty_folder(tmp_path: Path) -> None:
    for name in ("factors.py", "primes.py"):
        (tmp_path / name).write_text(python_of(f"# {name}", TUTORIAL))
    alone = "\n".join(commands_of(first, TUTORIAL) for first in ("python factors.py", "seq", "pangea run primes.py"))
    tree = commands_of("pip install 'pangea-compute[node]'", TUTORIAL).split("\n", 1)[1]
    done = shell(f"set -m\n{alone}\ntrap 'kill %1 2> /dev/null; wait' EXIT\n{tree}", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["1000000000000 2", "1000000000001 73"]
    assert sum(line.startswith(PRIMES) for line in lines) == 3, done.stdout
    assert "banned until" in done.stdout

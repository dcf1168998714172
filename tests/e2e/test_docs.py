"""What README and docs promise in code is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

from wasmtime import wat2wasm

from pangea.compute import ModuleJob, submit_job

ROOT = Path(__file__).parents[2]


def test_the_first_job_of_the_readme_runs_both_ways(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    (tmp_path / "words.py").write_text(code)
    (tmp_path / "README.md").write_text(text)
    words = len(text.split())
    by_script = subprocess.run([sys.executable, "words.py"], cwd=tmp_path, capture_output=True, timeout=50, check=True)
    assert by_script.stdout.splitlines()[0] == b"%d" % words
    command = [sys.executable, "-m", "pangea.compute.cli.main", "run", "words.py", "--input", "README.md"]
    by_command = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=50, check=True)
    assert by_command.stdout == b"%d" % words


def test_the_data_example_of_the_readme_runs_and_draws(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if each.startswith("# trips.py"))
    (tmp_path / "trips.py").write_text(code)

    done = subprocess.run([sys.executable, "trips.py"], cwd=tmp_path, capture_output=True, timeout=50, check=True)

    assert [line.split()[1:] for line in done.stdout.decode().splitlines()[1:]] == [["Lima", "10.0"], ["Oslo", "9.0"]]
    assert (tmp_path / "trips.png").read_bytes().startswith(b"\x89PNG")


def test_the_module_of_the_docs_runs() -> None:
    text = (ROOT / "docs" / "modules.md").read_text()
    wat = textwrap.dedent(text[text.index("    (module") :])
    result = submit_job(ModuleJob(bytes(wat2wasm(wat))), b"x" * 100_000, split_strategy="fixed_size", max_chunk_size=65_536)
    assert [int.from_bytes(result[i : i + 4], "little") for i in (0, 4)] == [65_536, 34_464]

"""The same bytes and the same fuel on other CPUs: x86-64 with less than this one has, Wasmtime's own interpreter, and arm64.

A guest that is to be pinned can be tried before: `PANGEA_GUEST=guest.wasm pytest tests/integration/test_cpus.py`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pangea.compute import runtime
from tests.cpu_jobs import float_module, float_numbers, nan_jobs, numpy_jobs, python_jobs
from tests.cpus import CPUS

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="compares with x86-64: run it there")
ROOT = Path(__file__).parents[2]
#: What `make arm64` puts there: an emulator, Debian's Python for arm64, and wasmtime for it.
ARM64 = ROOT / ".venv" / "arm64"
OTHERS = ["x86-64 with SSE 4.1", "x86-64 with AVX", "pulley"]


def in_process(*arguments: object, python: list[str] | None = None) -> None:
    """`python -m tests.cpus` with these: here, or by an emulated Python."""
    command = [*(python or [sys.executable]), "-m", "tests.cpus", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def given(folder: Path, name: str, jobs: list[tuple[str, str]]) -> Path:
    file = folder / f"{name}.json"
    file.write_text(json.dumps(jobs))
    return file


def results(code: Path, jobs: Path, cpu: str, *options: str, python: list[str] | None = None) -> Any:
    file = code.with_suffix(".results")
    in_process("--cpu", cpu, *options, "run", code, jobs, file, python=python)
    return json.loads(file.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cpus")


def made(folder: Path, cpu: str) -> Path:
    """The guest's code for a CPU: made once, as that takes minutes."""
    code, wasm = folder / f"guest.{cpu.replace(' ', '-')}", folder / "guest.wasm"
    if not code.exists():
        named = os.environ.get("PANGEA_GUEST")
        wasm.write_bytes(Path(named).read_bytes() if named else runtime.load())
        in_process("--cpu", cpu, "compile", wasm, code)
    return code


def module_results(folder: Path, cpu: str, python: list[str] | None = None) -> Any:
    wasm, code = folder / "floats.wasm", folder / f"floats.{cpu.replace(' ', '-')}{len(python or [])}"
    wasm.write_bytes(float_module())
    in_process("--module", "--cpu", cpu, "compile", wasm, code, python=python)
    return results(code, given(folder, "floats", [("", float_numbers())]), cpu, "--module", python=python)


@pytest.mark.long
@pytest.mark.slow
def test_each_instruction_of_floats_gives_a_users_module_the_same_bits(folder: Path) -> None:
    here = module_results(folder, "this")
    assert len(here[0][0]) > 100_000
    for cpu in OTHERS:
        assert module_results(folder, cpu) == here, cpu


@pytest.mark.long  # each compiles the guest, a minute's work
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("cpu", OTHERS)
def test_the_guest_gives_the_same_bytes_at_the_same_fuel(folder: Path, cpu: str) -> None:
    jobs = nan_jobs() if CPUS[cpu].triple == "pulley64" else [*nan_jobs(), *python_jobs(3), *numpy_jobs(50)]
    file = given(folder, "jobs", jobs)
    here, there = (results(made(folder, each), file, each) for each in ("this", cpu))
    assert [(job[1][:100], one, two) for job, one, two in zip(jobs, here, there, strict=True) if one != two] == []
    assert all(len(each) == 3 for each in here), "a job failed"


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_arm64_gives_the_same_bytes_at_the_same_fuel(folder: Path) -> None:
    """A module as native code; the guest in Wasmtime's interpreter, itself arm64: an emulator takes hours to compile it."""
    if not (ARM64 / "python").exists():
        pytest.skip("no emulator of arm64, or no Python for it: make arm64")
    python = [str(ARM64 / "python")]
    assert module_results(folder, "this", python) == module_results(folder, "this")
    file = given(folder, "nans", nan_jobs())
    assert results(made(folder, "pulley"), file, "pulley", python=python) == results(made(folder, "this"), file, "this")

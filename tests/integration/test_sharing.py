"""A run that is shared by processes ends, whatever becomes of one of them; and what one is to run, no other imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = """
import pytest
from tests.sharing import WholeFiles, is_for_another

@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return WholeFiles(config, log)

def pytest_ignore_collect(collection_path, config):
    return True if is_for_another(collection_path, config) else None
"""
FATAL = """
import os

def test_before():
    assert True

def test_fatal():
    os._exit(1)

def test_after():
    assert True
"""
#: Notes who has imported it.
NOTED = """
from pathlib import Path

with open(Path(__file__).with_suffix(".imported"), "a") as file:
    file.write("x")

def test_one():
    assert True

def test_two():
    assert True
"""
#: Notes who runs it, and of which room it is.
ORDERED = """
import os

def test_one():
    with open({!r}, "a") as file:
        print(os.environ["PYTEST_XDIST_WORKER"], {!r}, file=file)
"""

pytestmark = pytest.mark.timeout(120)


def run(place: Path, *, workers: int = 2) -> str:
    """What pytest says of the tests in `place`."""
    (place / "conftest.py").write_text(CONFTEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", str(workers), "-p", "no:cacheprovider", "--rootdir", str(place), str(place)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=100,
        check=False,
    )
    return done.stdout


@pytest.mark.long
def test_a_test_that_ends_its_process_fails_once_and_the_others_run(tmp_path: Path) -> None:
    for name, text in (("test_fatal.py", FATAL), ("test_first.py", "def test_one(): assert True\n")):
        (tmp_path / name).write_text(text)
    said = run(tmp_path)
    assert said.splitlines()[-1].startswith("1 failed, 3 passed"), said
    assert "crashed while running 'test_fatal.py::test_fatal'" in said


@pytest.mark.long
def test_small_files_are_dealt_out_and_imported_by_one_worker_each(tmp_path: Path) -> None:
    for room, names in (("unit", "abcd"), ("e2e", "ef")):
        (tmp_path / room).mkdir()
        for name in names:
            (tmp_path / room / f"test_{name}.py").write_text(NOTED)
    said = run(tmp_path)
    assert said.splitlines()[-1].startswith("12 passed"), said
    assert "[100%]" in said
    assert [len(file.read_text()) for file in sorted((tmp_path / "unit").glob("*.imported"))] == [1, 1, 1, 1]
    assert [len(file.read_text()) for file in (tmp_path / "e2e").glob("*.imported")] == [2, 2]


@pytest.mark.long
def test_what_was_dealt_to_a_worker_that_ends_is_run_by_the_one_that_takes_its_place(tmp_path: Path) -> None:
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "test_fatal.py").write_text(FATAL)
    for name in "abc":
        (tmp_path / "unit" / f"test_{name}.py").write_text(NOTED)
    said = run(tmp_path)
    assert said.splitlines()[-1].startswith("1 failed, 8 passed"), said


@pytest.mark.long
def test_one_file_is_run_whoever_it_is_dealt_to(tmp_path: Path) -> None:
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "test_a.py").write_text(NOTED)
    said = run(tmp_path, workers=3)
    assert said.splitlines()[-1].startswith("2 passed"), said


@pytest.mark.long
def test_workers_come_to_what_was_dealt_to_them_at_different_times(tmp_path: Path) -> None:
    order = tmp_path / "order.txt"
    for room, names in (("unit", "abcd"), ("e2e", "efghij")):
        (tmp_path / room).mkdir()
        for name in names:
            (tmp_path / room / f"test_{name}.py").write_text(ORDERED.format(str(order), room))
    said = run(tmp_path)
    assert said.splitlines()[-1].startswith("10 passed"), said
    begun = dict(reversed([line.split() for line in order.read_text().splitlines()]))
    assert begun == {"gw0": "unit", "gw1": "e2e"}

"""A run that is shared by processes ends, whatever becomes of one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = """
import pytest
from tests.sharing import WholeFiles

@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return WholeFiles(config, log)
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


@pytest.mark.timeout(120)
def test_a_test_that_ends_its_process_fails_once_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for name, text in (("test_fatal.py", FATAL), ("test_first.py", "def test_one(): assert True\n")):
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=100,
        check=False,
    )
    assert done.stdout.splitlines()[-1].startswith("1 failed, 3 passed"), done.stdout
    assert "crashed while running 'test_fatal.py::test_fatal'" in done.stdout

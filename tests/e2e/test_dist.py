"""What is given away: an sdist and a wheel whose bytes depend on the sources, not on who builds them, where and when."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]
_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")


def copied(folder: Path) -> Path:
    """The sources, and nothing that was made from them."""
    folder.mkdir()
    for name in _SOURCES:
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def hashes(folder: Path, *, epoch: int) -> dict[str, str]:
    """The hash of each file that a build of the sources in `folder` gives."""
    made = folder.with_name(f"{folder.name}.made")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(made)]
    subprocess.run(command, cwd=folder, env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}, check=True, capture_output=True)
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in made.iterdir()}


def changed(folder: Path, change: Callable[[Path], None]) -> Path:
    for path in folder.rglob("*"):
        if path.is_file():
            change(path)
    return folder


def older_and_private(path: Path) -> None:
    os.utime(path, (1_000_000_000, 1_000_000_000))
    path.chmod(0o600)


def test_the_wheel_says_what_is_in_it_that_others_wrote(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="no hatchling: make dist installs it")
    folder = copied(tmp_path / "here")
    hashes(folder, epoch=1_750_000_000)
    (wheel,) = folder.with_name("here.made").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        bills = {Path(name).name: json.loads(archive.read(name)) for name in names if "/sboms/" in name}
        assert all(".dist-info/sboms/" in name for name in names if "/sboms/" in name), "PEP 770"
        told = {each["name"]: each["hashes"][0]["content"] for each in files_in(bills["dashboard.cdx.json"])}
        assets = {Path(name).name: sha256(archive.read(name)).hexdigest() for name in names if "/dashboard/assets/" in name}
    assert set(bills) == {"python-runtime.cdx.json", "dashboard.cdx.json"}
    assert {(each["bomFormat"], each["specVersion"]) for each in bills.values()} == {("CycloneDX", "1.6")}
    assert told == {name: assets[name] for name in told}
    foreign = {name for name in assets if name not in ("page.js", "page.css", "icon.svg", "SHA256SUMS", "dashboard.cdx.json")}
    assert {name for name in foreign if not name.startswith("LICENSE")} == set(told)
    assert "CPython" in {each["name"] for each in bills["python-runtime.cdx.json"]["components"]}


def files_in(bill: dict[str, Any]) -> list[dict[str, Any]]:
    return [file for each in bill["components"] for file in each["components"]]


def test_two_builds_of_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="no hatchling: make dist installs it")
    here = hashes(copied(tmp_path / "here"), epoch=1_750_000_000)
    assert sorted(name.rpartition(".")[2] for name in here) == ["gz", "whl"]
    there = copied(tmp_path / "there")
    assert hashes(changed(there, older_and_private), epoch=1_750_000_000) == here
    (there / "src/pangea/compute/other.py").write_text("")
    assert not set(hashes(there, epoch=1_750_000_000).values()) & set(here.values()), "other sources, other bytes"

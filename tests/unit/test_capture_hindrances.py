"""Packages that import what a job hasn't: refused where they are needed, absent where they are not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from pangea.compute.capture.hindrances import imports_of
from pangea.compute.capture.homes import Homes
from pangea.compute.capture.packages import Home, Packages

Install = Callable[[dict[str, str]], Packages]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put files of packages where packages are, and give what takes them along."""
    folder = tmp_path / "site-packages"

    def put(files: dict[str, str]) -> Packages:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()
        return Packages()

    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield put
    for name in [each for each in sys.modules if each.partition(".")[0].endswith("_pack")]:
        del sys.modules[name]


def test_what_can_not_be_imported_is_not_taken_along_and_says_why(install: Install) -> None:
    packages = install(
        {
            "net_pack/__init__.py": "from . import inner\n",
            "net_pack/inner.py": "import json\nfrom other_pack.sub import thing\n",
            "other_pack/__init__.py": "",
            "other_pack/sub.py": "import readline\n",
        }
    )
    assert packages.add("net_pack") is Home.HINDERED
    assert packages.why("net_pack", Home.HINDERED) == "it imports readline, which a job hasn't"
    assert packages.files == {}


def test_what_may_not_run_hinders_nothing(install: Install) -> None:
    text = """
import sys
try:
    import ssl
except ImportError:
    ssl = None
if sys.platform == "win32":
    import winreg
def later():
    import subprocess
class Kind:
    import select
from . import name_and_no_module
"""
    packages = install({"fine_pack/__init__.py": text, "fine_pack/net.py": "import readline"})
    assert packages.add("fine_pack") is Home.SHIPPED
    assert sorted(packages.files) == ["fine_pack/__init__.py", "fine_pack/net.py"]
    assert packages.add("fine_pack.net") is Home.HINDERED


def test_what_can_be_done_without_is_absent_where_it_can_not_be_imported(install: Install) -> None:
    packages = install(
        {
            "front_pack/__init__.py": "try:\n    import large_pack\nexcept ImportError:\n    large_pack = None\n",
            "large_pack/__init__.py": f"import select\nX = '{'x' * (9 << 20)}'\n",
        }
    )
    assert packages.add("front_pack") is Home.SHIPPED
    assert [*packages.files] == ["front_pack/__init__.py"]


def test_packages_that_import_each_other_hinder_each_other_only_by_what_they_lack(install: Install) -> None:
    files = {"one_pack.py": "import two_pack\n", "two_pack.py": "import one_pack\n"}
    assert install(files).add("one_pack") is Home.SHIPPED
    assert install(files | {"two_pack.py": "import one_pack\nimport syslog\n"}).add("one_pack") is Home.HINDERED


def test_what_packages_import_and_may_never_use_has_stand_ins(install: Install) -> None:
    packages = install(
        {
            "net_pack/__init__.py": "import socket\nfrom . import inner\ntry:\n    import ssl\nexcept ImportError:\n    pass\n",
            "net_pack/inner.py": "from http.client import HTTPException\nfrom multiprocessing.pool import ThreadPool\n",
            "net_pack/later.py": "import pdb\nimport ssl\n",
        }
    )
    assert packages.add("net_pack") is Home.SHIPPED
    packages.take_beside()
    assert sorted(packages.stand_ins) == ["http.client", "multiprocessing", "multiprocessing.pool", "pdb", "socket"]
    assert packages.add("socket") is Home.EXCLUDED


def test_files_come_along_with_packages_that_look_for_them_as_far_as_there_is_room(install: Install) -> None:
    packages = install(
        {
            "data_pack/__init__.py": "import importlib.metadata\nPLACE = __file__\nNAME = 'of/large.bin'\n",
            "data_pack/names.txt": "a b",
            "data_pack/words/de/list.txt": "c",
            "data_pack/tests/expected.txt": "d",
            "data_pack/huge/large.bin": "e" * (3 << 20),
            "data_pack/huge/other.bin": "f" * (3 << 20),
            "data_pack/whole/part.bin": "g" * (5 << 20),
            "data_pack-2.1.dist-info/METADATA": "Name: data-pack\nVersion: 2.1\n",
            "data_pack-2.1.dist-info/RECORD": "data_pack/__init__.py,,\n",
            "plain_pack/__init__.py": "",
            "plain_pack/names.txt": "h",
        }
    )
    assert [packages.add("data_pack"), packages.add("plain_pack")] == [Home.SHIPPED, Home.SHIPPED]
    packages.take_beside()
    assert sorted(name for name in packages.files if not name.endswith(".py")) == [
        "data_pack-2.1.dist-info/METADATA",
        "data_pack/huge/large.bin",
        "data_pack/names.txt",
        "data_pack/words/de/list.txt",
    ]
    assert packages.left_out == ["data_pack/huge/other.bin", "data_pack/whole"]


@pytest.mark.parametrize(
    ("wrapper", "expected"),
    [("", Home.NATIVE), ("try:\n    from .quick import *\nexcept ImportError:\n    pass\n", Home.SHIPPED)],
)
def test_a_module_around_parts_in_c_that_may_be_absent_may_be_absent(install: Install, wrapper: str, expected: Home) -> None:
    files = {"quick_pack/__init__.py": wrapper, "quick_pack/quick.py": "from ._parts import f\n"}
    packages = install(files | {f"quick_pack/_parts{EXTENSION_SUFFIXES[0]}": ""})
    assert packages.add("quick_pack") is expected
    if expected is Home.SHIPPED:
        assert packages.add("quick_pack.quick") is Home.HINDERED
        assert packages.why("quick_pack.quick", Home.HINDERED) == "it imports quick_pack._parts, which a job hasn't"


def test_what_is_told_by_a_try_may_ask_for_parts_in_c(install: Install) -> None:
    text = """
try:
    import told_pack._parts
except ImportError:
    HAS = 0
else:
    HAS = 1
if HAS:
    from ._parts import f
"""
    files = {"told_pack/__init__.py": text, f"told_pack/_parts{EXTENSION_SUFFIXES[0]}": ""}
    assert install(files).add("told_pack") is Home.SHIPPED


def test_tests_and_tools_bring_nothing(install: Install) -> None:
    packages = install(
        {
            "tested_pack/__init__.py": "",
            "tested_pack/_tests/test_it.py": "import heavy_pack\n",
            "tested_pack/pytest_plugin.py": "import pytest\n",
            "heavy_pack.py": "",
        }
    )
    assert packages.add("tested_pack") is Home.SHIPPED
    assert {name.partition("/")[0] for name in packages.files} == {"tested_pack"}


def test_what_pip_has_put_into_a_folder_is_a_package_and_what_lies_beside_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "libraries"
    for name, text in (
        ("bought_pack/__init__.py", ""),
        ("bought_pack-1.0.dist-info/RECORD", "bought_pack/__init__.py,sha256=0,0\nbought_pack-1.0.dist-info/RECORD,,\n"),
        ("written_pack.py", ""),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    for name in ("bought_pack", "written_pack"):
        monkeypatch.setitem(sys.modules, name, importlib.import_module(name))
    homes = Homes()
    assert [homes.is_value(name) for name in ("bought_pack", "written_pack")] == [False, True]


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    for text, expected in (("import json\n", ("json",)), ("import json, ssl\n", ("json", "ssl"))):
        path.write_text(text)
        found = imports_of(path, "")
        assert found is not None
        assert found.at_once == expected
    path.write_text("import (")
    assert imports_of(path, "") is None

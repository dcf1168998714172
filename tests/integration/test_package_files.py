"""What packages have beside their code, in a job: files, versions, and what they import and never use."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pangea.compute import PangeaExecutor
from pangea.compute.model.errors import PangeaError

INIT = """
import contextlib
import gettext
import http.client
import importlib.metadata
import importlib.resources
import inspect
import os
import pkgutil
import socket

FOLDER = os.path.dirname(__file__)

class Connection(http.client.HTTPConnection):
    pass

class Options:
    place = FOLDER
    level = 1

options = Options()
options.place = os.path.join(FOLDER, "words")

def read():
    with open(os.path.join(FOLDER, "words", "de.txt"), encoding="utf-8") as file, open(options.place + "/de.txt", "rb") as same:
        found = [file.read(), same.read()]
    files = importlib.resources.files(__name__)
    found += [pkgutil.get_data(__name__, "words/en.txt"), files.joinpath("words", "en.txt").read_text()]
    found += [sorted(os.listdir(options.place)), sorted(each.name for each in files.joinpath("words").iterdir())]
    found += [sorted(each.name for each in importlib.resources.files("filed_pack.words").iterdir())]
    found += [os.path.exists(f"{FOLDER}/words/{name}") for name in ("de.txt", "fr.txt", "")]
    found += [importlib.metadata.version("filed-pack"), importlib.metadata.metadata("filed_pack")["Summary"]]
    found += [each.name for each in pkgutil.iter_modules(__path__)]
    found += [inspect.getsource(read)[:11], os.path.isfile(inspect.getsourcefile(lambda: 0)), options.level]
    found += [gettext.NullTranslations().gettext(os.environ["LANG"])]
    return found

def refused(path, mode="r"):
    try:
        open(path, mode)
    except OSError as error:
        return type(error).__name__

def connect():
    return socket.create_connection(("localhost", 80))

def too_large():
    return os.path.exists(FOLDER + "/large/data.bin")
"""
FILES = {
    "filed_pack/__init__.py": INIT,
    "filed_pack/other.py": "",
    "filed_pack/words/de.txt": "W\u00f6rter",
    "filed_pack/words/en.txt": "words",
    "filed_pack/large/data.bin": "x" * (5 << 20),
    "filed_pack-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: filed-pack\nVersion: 1.5\nSummary: files\n",
    "filed_pack-1.5.dist-info/RECORD": "filed_pack/__init__.py,,\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, text in FILES.items():
        path = tmp_path / "site-packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    monkeypatch.delitem(sys.modules, "filed_pack", raising=False)
    yield importlib.import_module("filed_pack")
    del sys.modules["filed_pack"]


def returned(function: Callable[..., Any], *arguments: Any) -> Any:
    with PangeaExecutor() as executor:
        return executor.submit(function, *arguments).result()


def test_a_package_reads_its_files_as_at_home_and_nothing_else(package: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "de_AT.UTF-8")

    def found(path: str) -> list[Any]:
        where = package.FOLDER
        return [package.read(), package.refused(path), package.refused(f"{where}/none.txt"), package.refused(f"{where}/a", "w")]

    expected = [package.read(), "PermissionError", "FileNotFoundError", "PermissionError"]
    assert returned(found, "/etc/passwd") == expected


def test_what_a_package_imports_and_a_job_has_not_raises_where_it_is_used(package: Any) -> None:
    with pytest.raises((PangeaError, PermissionError), match=r"a job has no socket\.create_connection"):
        returned(package.connect)


def test_a_file_that_did_not_come_along_is_not_taken_for_absent(package: Any) -> None:
    expected = "filed_pack/large/data.bin is of a package's files, and didn't come with the job"
    with pytest.raises((PangeaError, RuntimeError), match=re.escape(expected)):
        returned(package.too_large)


def test_modules_that_packages_load_once_more_for_themselves() -> None:
    def again() -> list[str]:
        import importlib.util
        import xml.etree.ElementTree as known

        spec = importlib.util.find_spec("html.parser")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules.pop("xml.etree.ElementTree")
        return [module.HTMLParser.__name__, str(importlib.import_module("xml.etree.ElementTree") is known)]

    assert returned(again) == ["HTMLParser", "False"]

"""Packages that can't come along, and the words for it; modules that nobody has loaded yet."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy
import pytest

from pangea.compute.capture.archive import build_archive
from pangea.compute.capture.homes import Homes
from pangea.compute.model.errors import JobDefinitionError


def refusal(function: Callable[[Any], Any]) -> JobDefinitionError:
    with pytest.raises(JobDefinitionError) as caught:
        build_archive({"execute": function}, {})
    return caught.value


def test_what_brings_too_much_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages"
    for name, text in (("front_of_much", "import behind_it"), ("behind_it", f"X = '{'x' * (9 << 20)}'")):
        (installed / name).mkdir(parents=True)
        (installed / name / "__init__.py").write_text(text)
    monkeypatch.syspath_prepend(str(installed))

    def execute(chunk: bytes) -> bytes:
        import front_of_much  # type: ignore[import-not-found]

        return bytes(front_of_much.X) + chunk

    expected = "with behind_it/__init__.py, which front_of_much brings, on top; 8.0 MiB is the most"
    assert expected in refusal(execute).message


def test_values_of_polars_are_refused_by_their_type() -> None:
    polars = pytest.importorskip("polars", reason="no polars: pip install 'pangea-compute[examples]' (`make test` does it)")
    frame, column = polars.DataFrame({"a": [1]}), polars.Series([1])
    for function, kind in ((lambda _: frame, "dataframe.frame.DataFrame"), (lambda _: column, "series.series.Series")):
        error = refusal(function)
        assert f", which is of type polars.{kind}: it can't travel" in error.message
        assert error.hint == "such values don't travel with the code: pass it in the chunk, as an array or a table"
    assert "is the module polars (it has parts that aren't Python)" in refusal(lambda _: polars.DataFrame()).message


@pytest.mark.parametrize("module", ["xml.etree.ElementTree", "sqlite3", "calendar"])
def test_a_module_that_takes_registrations_need_not_be_loaded(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)

    def xml(_chunk: bytes) -> bytes:
        import xml.etree.ElementTree

        return xml.etree.ElementTree.tostring(xml.etree.ElementTree.Element("a"))

    def sqlite(_chunk: bytes) -> bytes:
        import sqlite3

        return sqlite3.sqlite_version.encode()

    def weeks(_chunk: bytes) -> bytes:
        import calendar

        return bytes(calendar.firstweekday())

    function = {"sqlite3": sqlite, "calendar": weeks}.get(module, xml)
    assert build_archive({"execute": function}, {})
    assert module not in sys.modules


def test_a_class_of_a_module_that_nobody_has_loaded_is_found_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numpy.rec", raising=False)
    assert numpy.recarray.__module__ == "numpy.rec"
    assert Homes().reference(numpy.recarray) == ("numpy", "recarray")


def test_expressions_without_a_text_are_refused() -> None:
    scanner: Any = vars(re)["Scanner"]([("a", None)])
    bare = scanner.scanner
    assert "is a regular expression without a text" in refusal(lambda _: bare.match("a")).message
    scanner.lexicon.append(("b", None))
    assert "is a scanner whose lexicon was changed since" in refusal(lambda _: scanner.scan("a")).message


def test_what_fails_when_it_is_looked_at_is_refused_by_name() -> None:
    class Failing(type):
        @property
        def __basicsize__(cls) -> int:
            raise RuntimeError("not to be asked")

    class Odd(metaclass=Failing):
        pass

    odd = Odd()
    error = refusal(lambda _: repr(odd).encode())
    assert "uses 'odd', which fails when it is looked at: RuntimeError: not to be asked: it can't travel" in error.message
    assert isinstance(error.__cause__, RuntimeError)


def shipped(function: Callable[[Any], Any]) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(build_archive({"execute": function}, {}))) as archive:
        return {name.removeprefix("lib/") for name in archive.namelist() if name.startswith("lib/")}


def install(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / "site-packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_only_functions_of_a_package_import_comes_as_far_as_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "graphs_of/__init__.py": "from graphs_of import base\ndef drawn():\n    import drawing_small, drawing_large\n",
        "graphs_of/base.py": "import needed_by_base\n",
        "graphs_of/extra.py": "import drawing_other\n",
        "graphs_of/tests/__init__.py": "",
        "graphs_of/tests/test_base.py": "import needed_by_tests\n",
        **{f"{name}/__init__.py": "X = 1\n" for name in ("needed_by_base", "drawing_small", "drawing_other", "needed_by_tests")},
        "drawing_large/__init__.py": f"X = '{'x' * (3 << 20)}'\n",
    }
    install(tmp_path, files)
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))

    def execute(chunk: bytes) -> bytes:
        import graphs_of  # type: ignore[import-not-found]

        return bytes(graphs_of.base.needed_by_base.X) + chunk

    def tested(chunk: bytes) -> bytes:
        import graphs_of.tests.test_base  # type: ignore[import-not-found]

        return repr(graphs_of).encode() + chunk

    expected = {"graphs_of/__init__.py", "graphs_of/base.py", "graphs_of/extra.py", "needed_by_base/__init__.py"}
    expected |= {"drawing_small/__init__.py", "drawing_other/__init__.py"}
    assert shipped(execute) == expected
    assert shipped(tested) == expected | {
        "graphs_of/tests/__init__.py",
        "graphs_of/tests/test_base.py",
        "needed_by_tests/__init__.py",
    }


@pytest.mark.parametrize(
    ("text", "is_shipped"),
    [
        ("try:\n    from ._quick import f\nexcept ImportError:\n    from .plain import f\n", True),
        ("try:\n    from sped_up._quick import f\nexcept (ImportError, OSError):\n    from .plain import f\n", True),
        ("from .plain import f\ntry:\n    from . import _quick\nexcept Exception:\n    _quick = None\n", True),
        ("try:\n    from ._quick import f\nexcept ValueError:\n    from .plain import f\n", False),
        ("from ._quick import f\n", False),
        ("from .plain import f\n", False),
    ],
)
def test_a_package_travels_without_parts_in_c_that_it_can_do_without(
    text: str, is_shipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = f"sped_up/_quick{EXTENSION_SUFFIXES[0]}"
    twin = {f"sped_up/twin{EXTENSION_SUFFIXES[0]}": "", "sped_up/twin.py": ""}
    install(tmp_path, {"sped_up/__init__.py": text, "sped_up/plain.py": "def f(): return 1\n", native: "", **twin})
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))

    def execute(chunk: bytes) -> bytes:
        import sped_up  # type: ignore[import-not-found]

        return bytes(sped_up.f()) + chunk

    if is_shipped:
        assert shipped(execute) == {"sped_up/__init__.py", "sped_up/plain.py", "sped_up/twin.py"}
    else:
        assert "which imports sped_up (it has parts that aren't Python)" in refusal(execute).message

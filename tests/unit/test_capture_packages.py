"""Packages that can't come along, and the words for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.capture.archive import build_archive
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
    polars = pytest.importorskip("polars")
    frame, column = polars.DataFrame({"a": [1]}), polars.Series([1])
    for function, kind in ((lambda _: frame, "dataframe.frame.DataFrame"), (lambda _: column, "series.series.Series")):
        error = refusal(function)
        assert f", which is of type polars.{kind}: it can't travel" in error.message
        assert error.hint == "such values don't travel with the code: pass it in the chunk, as an array or a table"
    assert "is the module polars (it has parts that aren't Python)" in refusal(lambda _: polars.DataFrame()).message

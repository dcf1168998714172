"""Which file somebody may have meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from pangea.compute.client.definition.module import ModuleJob
from pangea.compute.client.receipts.materials import read_receipt
from pangea.compute.guests.building import build
from pangea.compute.inputs import missing
from pangea.compute.inputs.inputs import open_inputs
from pangea.compute.inputs.missing import hint_of_missing
from pangea.compute.model.errors import InputError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trips.csv").touch()
    (tmp_path / "trip").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("trip.csv", "did you mean 'trips.csv'?"),
        ("trips", "did you mean 'trips.csv'?"),
        ("./trips.cvs", "did you mean 'trips.csv'?"),
        ("ox.csv", "else"),
        ("a" * 300, "else"),
        ("nowhere/trips.csv", "there is no folder nowhere; else"),
        ("null\0byte", "else"),
        ("", "else"),
    ],
)
def test_the_file_that_is_called_most_alike_is_named(folder: Path, given: str, hint: str) -> None:
    assert hint_of_missing(given, "else") == hint


def test_of_a_large_folder_only_some_are_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing, "_FILES_MAX", 0)
    assert hint_of_missing("trip.csv", "else") == "else"


def test_an_input_and_a_module_that_are_missing_name_it(folder: Path) -> None:
    for asked in (lambda: open_inputs("trip.csv"), lambda: ModuleJob.load("trip.csv")):
        with pytest.raises(InputError, match="there is no file") as caught:
            asked()
        assert caught.value.hint == "did you mean 'trips.csv'?"
    with pytest.raises(InputError, match="no file 'some text'") as text:
        open_inputs("some text")
    assert text.value.hint == "a str is a path; pass bytes for data"
    with pytest.raises(InputError, match="trip is a folder"):
        ModuleJob.load("trip")


def test_a_receipt_and_a_source_that_are_missing_name_it(folder: Path) -> None:
    (folder / "r.json").touch()
    (folder / "words.c").touch()
    for asked, meant in ((lambda: read_receipt(Path("rr.json")), "r.json"), (lambda: build(Path("word.c")), "words.c")):
        with pytest.raises(InputError) as caught:
            asked()
        assert caught.value.hint == f"did you mean {meant!r}?"

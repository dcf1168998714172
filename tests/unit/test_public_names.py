"""What `pangea.compute` offers at its top, and where names are that used to be there."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import fields

import pytest

import pangea.compute as pc
from pangea.compute import errors, jobs, pictures
from pangea.compute.model import keywords
from pangea.compute.model.errors import PangeaError
from pangea.compute.model.options import JobOptions


def test_twenty_names_at_most_are_at_the_top_and_each_is_there_without_a_warning() -> None:
    assert len(pc.__all__) <= 20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in pc.__all__:
            assert getattr(pc, name).__doc__, name
        for place in (errors, jobs, pictures):
            assert all(getattr(place, name) for name in place.__all__)


@pytest.mark.parametrize(
    ("name", "place"), [("InputError", errors), ("JobOptions", jobs), ("JobDefinition", jobs), ("run_report", pictures)]
)
def test_a_name_that_has_moved_warns_and_is_the_same(name: str, place: object) -> None:
    with pytest.warns(DeprecationWarning, match=rf"pangea\.compute\.{name} will be in .*: from .* import {name}"):
        assert getattr(pc, name) is getattr(place, name)


def test_the_warning_names_the_line_that_imports() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "x = 1\nfrom pangea.compute import JobOptions\nimport pangea.compute.errors"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.startswith("<string>:2: DeprecationWarning: pangea.compute.JobOptions will be in pangea.compute.jobs only")


def test_no_other_name_is_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Jobs'"):
        pc.Jobs  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'draw'"):
        pictures.draw  # noqa: B018


def test_all_errors_have_their_place() -> None:
    def below(kind: type) -> set[str]:
        return {kind.__name__}.union(*map(below, kind.__subclasses__()))

    hidden = below(PangeaError) - set(errors.__all__)
    assert {name for name in hidden if hasattr(pc, name)} == set()


def test_the_keywords_for_checkers_of_types_are_the_options_there_are() -> None:
    assert set(keywords.JobKeywords.__annotations__) == {each.name for each in fields(JobOptions)}

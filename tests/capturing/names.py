"""What is reached by its name in a text alone: annotations that are looked up, and what is evaluated."""

from __future__ import annotations

import decimal
import typing

from packaging.version import Version

from tests.capturing import Cases, Look, helper

CASES = Cases()
_FACTOR = 3


class _Mine:
    other: _Yours | None


class _Yours:
    number: decimal.Decimal


def _annotated(_one: _Yours, _many: list[_Mine]) -> typing.Sequence[helper.Kind]:
    return []


class _Quoted:
    others: list["_Deep"]  # noqa: UP037


class _Deep:
    pass


def _triple(number: int) -> int:
    return number * _FACTOR


@CASES
def annotations_that_are_texts() -> Look:
    def look() -> object:
        hints = typing.get_type_hints(_annotated)
        return (
            hints["_one"] is _Yours,
            typing.get_args(hints["_many"])[0] is _Mine,
            typing.get_args(hints["return"])[0] is helper.Kind,
            typing.get_args(typing.get_type_hints(_Mine)["other"])[0] is _Yours,
            typing.get_type_hints(_Yours),
            typing.get_args(typing.get_type_hints(_Quoted)["others"])[0] is _Deep,
        )

    return look


class _Release(Version):
    """Travels with a package."""


def _release(text: str) -> _Release:
    return _Release(text)


@CASES
def what_code_needs_though_an_annotation_names_it_too() -> Look:
    return lambda: str(_release("1.2"))


@CASES
def names_in_texts_that_are_evaluated() -> Look:
    return lambda: (eval("_triple(2) + _FACTOR"), globals()["_triple"](3))


@CASES
def modules_that_say_what_they_have() -> Look:
    def look() -> Any:
        (of,) = (helper,)  # where names can't be followed
        return dir(of), of.spelled_out, getattr(of, "__version__", None)

    return look

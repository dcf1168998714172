"""Types and the library's enums are values, and come back as themselves."""

import inspect
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Generic, List, Literal, Optional, TypeVar  # noqa: UP035 (each is meant)
from uuid import SafeUUID

import pytest

from pangea.compute.data import DataError
from pangea.compute.data.errors import NoPlaceError
from pangea.compute.data.tagged import Classes, dumps, loads

T = TypeVar("T")


class Colour(Enum):
    RED = 1


@dataclass
class Holder(Generic[T]):
    item: T


@pytest.mark.parametrize(
    "value",
    [
        HTTPStatus.IM_A_TEAPOT,
        signal.SIGTERM,
        re.I | re.M,  # no member by itself
        re.RegexFlag(0),
        SafeUUID.unknown,
        inspect.Parameter.KEYWORD_ONLY,
        {HTTPStatus.OK: [HTTPStatus.NOT_FOUND]},
    ],
)
def test_the_librarys_enums_are_themselves(value: Any) -> None:
    found = loads(dumps(value))
    assert (found, type(found), repr(found)) == (value, type(value), repr(value))
    if isinstance(value, Enum) and value.name in type(value).__members__:
        assert found is value


@pytest.mark.parametrize(
    "value",
    [
        *(int, type(None), Decimal, HTTPStatus, Colour, Holder, list[int], dict[str, tuple[int, ...]], type[int], int | None),
        *(Optional[Colour], Holder[int], Holder[list[Colour]], Holder[Any]),  # noqa: UP045 (its own type is meant)
    ],
)
def test_types_are_values(value: Any) -> None:
    classes = (Colour, Holder)
    assert loads(dumps(value, Classes.of(classes)), classes) == value


@pytest.mark.parametrize(
    "value",
    [List[int], Callable[[int], str], Literal["a"], ClassVar[int], Annotated[int, 1], Holder[T], OSError.errno],  # type: ignore[valid-type]  # noqa: UP006
)
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(NoPlaceError):
        dumps(value, Classes.of((Holder,)))


def test_instances_know_of_what_they_were_made() -> None:
    line = dumps(Holder[int](3), Classes.of((Holder,)))
    found = loads(line, (Holder,))
    assert (found, found.__orig_class__) == (Holder(3), Holder[int])


@pytest.mark.parametrize(
    "damaged",
    [
        '["this", 1]',
        '"antigravity.x"',
        '"http.server"',
        '"socket.AddressFamily"',
        '["of", "int", "int"]',
        '["of", 0, "int"]',
        "9",
    ],
)
def test_no_other_name_is_looked_up(damaged: str) -> None:
    with pytest.raises(DataError):
        loads(f'{{"$": "type", "v": {damaged}}}', (Colour,))

"""Reading a stranger's JSON, field by field: each must be there, of its type and in its range, and nothing else may be."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from pangea.compute.model.errors import UnverifiedError
from pangea.compute.model.limits import shown

#: More than any count, size or bill comes to, and than any database holds.
NUMBER_MAX = 2**63 - 1
TEXT_CHARACTERS_MAX = 4096
_HEX = re.compile(r"(?:[0-9a-f]{2})*")


class Fields:
    """One object of a file."""

    def __init__(self, value: object, where: str) -> None:
        """Read the object `value`, which errors call `where`.

        Raises:
            UnverifiedError: it is no object.
        """
        if not isinstance(value, dict):
            raise unreadable(f"{where} is {shown(value)}, not an object")
        self._left: dict[str, Any] = dict(value)
        self._where = where

    def has(self, name: str) -> bool:
        """Whether there is such a field, not yet read."""
        return name in self._left

    def take(self, name: str) -> Any:
        """A field of any type."""
        if name not in self._left:
            raise unreadable(f"{self._where} has no {name}")
        return self._left.pop(name)

    def text(self, name: str) -> str:
        """Up to 4,096 printable characters."""
        value = self.take(name)
        if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX or not value.isprintable():
            raise self._wrong(name, value, f"up to {TEXT_CHARACTERS_MAX:,} printable characters")
        return value

    def whole(self, name: str) -> int:
        """A whole number from 0 to 2^63 - 1."""
        value = self.take(name)
        if type(value) is not int or not 0 <= value <= NUMBER_MAX:
            raise self._wrong(name, value, "a whole number from 0 to 2^63 - 1")
        return value

    def share(self, name: str) -> float:
        """A number from 0 to 1."""
        value = self.take(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self._wrong(name, value, "a number from 0 to 1")
        return value

    def yes_or_no(self, name: str) -> bool:
        """True or false."""
        value = self.take(name)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def digest(self, name: str) -> bytes:
        """32 bytes in small hexadecimal digits."""
        value = self.take(name)
        if not isinstance(value, str) or len(value) != 64 or not _HEX.fullmatch(value):
            raise self._wrong(name, value, "64 small hexadecimal digits")
        return bytes.fromhex(value)

    def data(self, name: str) -> bytes:
        """Bytes in base64, written in the one way that is right."""
        value = self.take(name)
        try:
            decoded = base64.b64decode(value, validate=True) if isinstance(value, str) else None
        except ValueError:
            decoded = None
        if decoded is None or base64.b64encode(decoded).decode() != value:
            raise self._wrong(name, value, "base64")
        return decoded

    def items(self, name: str) -> list[Any]:
        """A list."""
        value = self.take(name)
        if not isinstance(value, list):
            raise self._wrong(name, value, "a list")
        return value

    def counts(self, name: str) -> tuple[int, ...]:
        """Whole numbers from 1 to 2^63 - 1; none if there is no such field."""
        values = self.items(name) if self.has(name) else []
        if not all(type(value) is int and 1 <= value <= NUMBER_MAX for value in values):
            raise self._wrong(name, values, "whole numbers from 1 to 2^63 - 1")
        return tuple(values)

    def end(self) -> None:
        """Say that all was read.

        Raises:
            UnverifiedError: something was not: it would go unchecked.
        """
        if self._left:
            raise unreadable(f"{self._where} has an unknown field {shown(next(iter(self._left)))}")

    def _wrong(self, name: str, value: object, expected: str) -> UnverifiedError:
        return unreadable(f"{self._where}.{name} is {shown(value)}; it must be {expected}")


def unreadable(what: str) -> UnverifiedError:
    """The error about a file that is no receipt, or not one as it was written."""
    return UnverifiedError(f"the receipt can't be read: {what}", hint="ask for the file again, as it was written")


def parsed(data: bytes) -> Any:
    """JSON that says the same to everybody who reads it: no name twice in an object, no NaN.

    Raises:
        ValueError: it isn't, or is nested too deeply.
    """
    try:
        return json.loads(data, object_pairs_hook=_object, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")

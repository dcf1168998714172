"""What a kernel takes and returns: `float64[:], int64 -> float64[:]`, read into types.

A chunk of a kernel is one .npy file for each argument, one behind the other; a result is one. A number is an array of one item
or, among the arguments, of none of the axes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.limits import nearest, shown

#: What .npy files call the types of a kernel.
DESCRS = {
    "bool": "|b1",
    "int8": "|i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "uint8": "|u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "float32": "<f4",
    "float64": "<f8",
}
ARGUMENTS_MAX = 16
DIMENSIONS_MAX = 4
_TYPE = re.compile(r"([A-Za-z_]\w*)\s*(?:\[([:,\s]*)\])?")
#: A comma that isn't between brackets.
_BETWEEN = re.compile(r",(?![^\[]*\])")
_HINT = 'such as kernel="float64[:], int64 -> float64[:]"'


@dataclass(frozen=True, slots=True)
class KernelType:
    """A number, or an array of them.

    Attributes:
        item: the type of a number: a key of `DESCRS`.
        dimensions: 0 for a number.
    """

    item: str
    dimensions: int = 0

    @property
    def descr(self) -> str:
        """The type of a number in the header of a .npy file."""
        return DESCRS[self.item]

    @property
    def item_bytes(self) -> int:
        """The size of a number."""
        return int(self.descr[2:])

    def __str__(self) -> str:
        return f"{self.item}[{','.join(':' * self.dimensions)}]" if self.dimensions else self.item


@dataclass(frozen=True, slots=True)
class KernelSignature:
    """What a kernel takes and returns."""

    takes: tuple[KernelType, ...]
    returns: KernelType

    @classmethod
    def parse(cls, text: object) -> KernelSignature:
        """Read `text`; parentheses around the arguments may be there or not.

        Raises:
            JobDefinitionError: it is no signature; names what isn't understood.
        """
        if not isinstance(text, str) or text.count("->") != 1:
            raise _wrong(f"kernel is {shown(text)}; it must be what execute takes, an arrow, and what it returns")
        before, after = (each.strip() for each in text.split("->"))
        if before.startswith("(") and before.endswith(")"):
            before = before[1:-1].strip()
        takes = _types(before, text)
        if not 1 <= len(takes) <= ARGUMENTS_MAX:
            raise _wrong(f"kernel={text!r} takes {len(takes)} arguments; it must take 1 to {ARGUMENTS_MAX}")
        returns = _types(after, text)
        if len(returns) != 1:
            raise _wrong(f"kernel={text!r} returns {len(returns)} values; it must return one number or array")
        return cls(takes, returns[0])

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.takes))} -> {self.returns}"


def _types(text: str, whole: str) -> tuple[KernelType, ...]:
    found = []
    for each in _BETWEEN.split(text) if text else []:
        match = _TYPE.fullmatch(each.strip())
        if match is None:
            raise _wrong(f"kernel={whole!r}: {shown(each.strip())} is no type")
        found.append(_type(match[1], match[2], whole))
    return tuple(found)


def _type(item: str, axes: str | None, whole: str) -> KernelType:
    if item not in DESCRS:
        near = nearest(item, list(DESCRS))
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(DESCRS)}"
        raise JobDefinitionError(f"kernel={whole!r}: there is no type {item!r}", hint=hint, option="kernel")
    if axes is None:
        return KernelType(item)
    sides = [each.strip() for each in axes.split(",")]
    if sides != [":"] * len(sides) or len(sides) > DIMENSIONS_MAX:
        raise _wrong(f"kernel={whole!r}: an array is written {item}[:], {item}[:,:] and so on, up to {DIMENSIONS_MAX} axes")
    return KernelType(item, len(sides))


def _wrong(message: str) -> JobDefinitionError:
    return JobDefinitionError(message, hint=_HINT, option="kernel")

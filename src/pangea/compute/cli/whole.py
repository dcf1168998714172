"""Whole numbers on the command line: what is none is refused, where the parser would round it (`--workers 0.5` to 0)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token, convert


def _converted(_hint: object, tokens: Sequence[Token]) -> Any:
    text = tokens[0].value
    if "." in text:
        raise ValueError(f"{text!r} is no whole number")
    return convert(int, tokens)


#: An integer, in any base that Python writes (20, 0x14).
Whole = Annotated[int, Parameter(converter=_converted)]

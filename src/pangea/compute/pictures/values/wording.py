"""Words in pictures: text made fit to be shown, figures written as people write them, what a value is called in an error."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pangea.compute.model.units import counted

#: Letters that aren't allowed in XML, that break lines, or that reorder what stands around them.
_UNSHOWN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_SPACES: Final = re.compile(r"\s+")
#: A name may be as long as this in a picture; the rest is an ellipsis.
LETTERS_MAX: Final = 80
TITLE_LETTERS_MAX: Final = 160
#: Letters of a title and of a note beside each other, in the width of most pictures.
TITLE_LINE, NOTE_LINE = 58, 92

#: Where figures become 1.5M, 120k, and 2e-5; above the last, a float isn't exactly one whole number.
_GREAT, _LARGE, _SMALL, _WHOLE = 1e6, 1e5, 1e-3, 1e15


def shown(text: object, letters_max: int = LETTERS_MAX) -> str:
    """Anyone's text as one line of at most `letters_max` letters; it may still hold markup, which is escaped where it is used."""
    line = _UNSHOWN.sub("\ufffd", _SPACES.sub(" ", str(text))).strip()
    return line if len(line) <= letters_max else f"{line[: letters_max - 1].rstrip()}…"


def figure(number: float, digits: int = 4) -> str:
    """A number with at most `digits` significant digits after the point or the first, for notes and cells: "12,345", "−0.31"."""
    if not math.isfinite(number):
        return str(number)
    if number == round(number) and abs(number) < _WHOLE:
        text = f"{int(number):,}"
    elif _SMALL <= abs(number) < _LARGE:
        text = f"{number:,.{max(0, digits - 1 - math.floor(math.log10(abs(number))))}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{number:.{digits}g}"
    return text.replace("-", "\N{MINUS SIGN}") if text.startswith("-") else text


def numeral(number: float) -> str:
    """A number as a name: years and long ids have no commas, and whole numbers all their digits."""
    if isinstance(number, int) and abs(number) >= _WHOLE:
        return str(number)
    return figure(number)


def distinct(names: Iterable[str], letters_max: int = LETTERS_MAX) -> list[str]:
    """Names as they are shown, each different from the others, which they need not be once they are shortened."""
    taken: dict[str, int] = {}
    texts = []
    for name in names:
        first = text = shown(name, letters_max) or "(empty)"
        while text in taken:
            taken[first] += 1
            text = f"{first} [{taken[first]}]"
        taken[text] = 1
        texts.append(text)
    return texts


def wrapped(text: str, letters: int) -> list[str]:
    """Text in lines of about so many letters; a word longer than that is a line of its own."""
    return textwrap.wrap(text, letters, break_long_words=True, break_on_hyphens=False)


def sentence(note: str) -> str:
    """A note as it stands below a title."""
    return f"{note[0].upper()}{note[1:]}."


def are_years(numbers: Sequence[float]) -> bool:
    """Whether these may be years, which are written without a comma: whole, of four digits, below 3000."""
    return bool(numbers) and all(1000 <= number < 3000 and number == round(number) for number in numbers)


def axis_format(numbers: Iterable[float]) -> str | None:
    """The d3-format of an axis, or None where Vega's own does: 120k, 3.5M, 0.00002."""
    largest = max(map(abs, numbers), default=0.0)
    if largest >= _LARGE:
        return "~s" if largest < _WHOLE else "~e"
    return "~g" if 0 < largest < _SMALL else None


def label_format(numbers: Iterable[float]) -> str:
    """The d3-format of figures at marks and under the pointer."""
    known = list(numbers)
    largest = max(map(abs, known), default=0.0)
    if largest >= _GREAT:
        return ".4~s" if largest < _WHOLE else ".3~e"
    if all(number == round(number) for number in known):
        return ",d"
    return ".3~e" if largest < _SMALL else ",.4~r"


def described(value: Any) -> str:
    """What a value is, for an error: "an array of 3 x 4 complex128", "a dict with 'a', 'b', …"."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return f"text of {counted(len(value), 'letter')}"
    if isinstance(value, bytes | bytearray | memoryview):
        return counted(len(value), "byte")
    if isinstance(value, dict):
        keys = ", ".join(repr(shown(key, 20)) for key in list(value)[:4])
        return f"a dict with {keys}{', …' if len(value) > 4 else ''}" if value else "an empty dict"
    if isinstance(value, list | tuple | set | frozenset):
        if not value:
            return f"an empty {type(value).__name__}"
        first = f" that begins with {described(next(iter(value)))}"
        return f"a {type(value).__name__} of {counted(len(value), 'item')}{first}"
    if isinstance(value, int | float | complex):
        return f"the number {shown(value, 30)}"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        return f"an array of {' x '.join(map(str, shape)) or 'one'} {shown(dtype, 40)}"
    return f"a {type(value).__name__}"

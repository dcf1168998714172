"""`-` on the command line: standard input or output where it stands for a file, and itself everywhere else.

The parser takes a lone dash for the beginning of an option. So it is given another word, which no command line can hold, and
what it has understood is put right afterwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

from pangea.compute.cli.usage import UsageError
from pangea.compute.engine.descriptors import is_usable
from pangea.compute.model.errors import OutputError

_HIDDEN = "\0-"
_STDIN = "/dev/stdin"


def hide(words: Sequence[str]) -> list[str]:
    """The command line as the parser may see it."""
    return [
        _HIDDEN if word == "-" else f"{word[:-1]}{_HIDDEN}" if word.startswith("--") and word.endswith("=-") else word
        for word in words
    ]


def show(value: Any) -> Any:
    """What the parser has made of a word, or of several, with their dashes again."""
    if isinstance(value, str):
        return value.replace(_HIDDEN, "-")
    if isinstance(value, Path):
        return Path(show(str(value)))
    if isinstance(value, list | tuple):
        return type(value)(map(show, value))
    if isinstance(value, dict):
        return {show(name): show(each) for name, each in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{field.name: show(getattr(value, field.name)) for field in dataclasses.fields(value)})
    return value


def readable(word: str) -> str:
    """The file that a word stands for, where a file is read.

    Raises:
        UsageError: it is `-`, and standard input is closed; or it is empty, as of a variable of a script that isn't set.
    """
    if not word:
        raise UsageError("a file's name is empty", hint="name a file, or leave the option out")
    if word not in ("-", _HIDDEN):
        return word
    if not is_usable(0):
        raise UsageError("- stands for standard input, which is closed", hint="name a file")
    return _STDIN


def _converted(_hint: object, tokens: Sequence[Token]) -> Any:
    return Path(readable(tokens[0].value))


def writable(word: str, option: str) -> Path:
    """The file that a word stands for, where a file is written. `Path` alone would take the slash off a folder's name.

    Raises:
        OutputError: the word names a folder, or nothing.
    """
    if not word:
        raise OutputError(f"{option} is given an empty name", hint=f"name a file: {option} NAME")
    if word.endswith(("/", "/.")):
        raise OutputError(f"{option} {word} names a folder", hint=f"name a file: {option} {word.removesuffix('.')}NAME")
    return Path(word)


def _converted_output(_hint: object, tokens: Sequence[Token]) -> Any:
    return writable(tokens[0].value, tokens[0].keyword or "FILE")


#: A file to be read.
InputFile = Annotated[Path, Parameter(converter=_converted)]
#: A file to be written.
OutputFile = Annotated[Path, Parameter(converter=_converted_output)]
#: The same of the option of that name.
Output = Annotated[Path | None, Parameter(name=("--output", "-o"), converter=_converted_output)]

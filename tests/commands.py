"""The commands of `pangea`, from its parser: so that a test can't forget one; and what they print under `--json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pangea.compute.cli.main import app
from pangea.compute.cli.records import SCHEMA
from pangea.compute.cli.shapes import SHAPES


def commands(above: Any = app, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Each command once, by its first name; `()` is `pangea` itself."""
    yield words
    seen: list[Any] = []
    for name in above:
        if not name.startswith("-") and all(above[name] is not each for each in seen):
            seen.append(above[name])
            yield from commands(above[name], (*words, name))


def leaves() -> list[str]:
    """Those that do something by themselves, as they are written."""
    found = [words for words in commands() if words]
    return [" ".join(words) for words in found if not any(other[: len(words)] == words for other in found if other != words)]


def checked(command: str, line: str | bytes) -> Any:
    """The data of a record of `command`, once it is what is said of it."""
    record = json.loads(line)
    assert (record.pop("schema"), record.pop("command")) == (SCHEMA, command)
    faults = [shape.faults(record) for shape in SHAPES[command]]
    assert [] in faults, faults
    return record

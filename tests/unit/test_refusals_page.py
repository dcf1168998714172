"""docs/errors.md says what is said, and all that is."""

import ast
import gc
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from docs.make_errors import EDITED, EXAMPLES, PAGE, page, refusal

from pangea.compute import capture
from pangea.compute.capture.walk import Walk

#: What no example of every Python shows: why.
WITHOUT_EXAMPLE = {
    "is a cached function whose own function can't be told": "no such function is known",
    "is a type alias that can't be evaluated: ": "a type statement is an error of syntax before Python 3.12",
}


def test_the_page_is_what_the_examples_say() -> None:
    with warnings.catch_warnings(action="ignore"):
        said = page()
        gc.collect()  # one of the examples leaves a file open, which is what it shows
    assert PAGE.read_text(encoding="utf-8") == said, "run `make docs`"


@pytest.mark.long
def test_each_refusal_has_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, reached = Walk.refuse, set()

    def refuse(self: Walk, *arguments: Any) -> NoReturn:
        frame = sys._getframe(1)
        reached.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
        plain(self, *arguments)

    monkeypatch.setattr(Walk, "refuse", refuse)
    with warnings.catch_warnings(action="ignore"):
        for text, edit in [*((each, ("", "")) for each in EXAMPLES.values()), *EDITED.values()]:
            refusal(text, edit)
        gc.collect()
    shown = {said for said, file, lines in sites() if any((file, line) in reached for line in lines)}
    assert {said for said, _, _ in sites()} - shown == set(WITHOUT_EXAMPLE)


def sites() -> Iterator[tuple[str, str, range]]:
    """Where capture refuses something: how what is said begins, the file, and the lines."""
    for path in sorted(Path(next(iter(capture.__path__))).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "refuse":
                texts = [each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)]
                yield str(texts[0]) if texts else "", path.name, range(node.lineno, (node.end_lineno or 0) + 1)

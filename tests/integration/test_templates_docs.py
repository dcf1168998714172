"""What docs/templates.md shows is run as it stands there, and gives what stands there."""

from __future__ import annotations

import contextlib
import io
import linecache
import re
from pathlib import Path

import pytest

from pangea.compute import templates

TEXT = (Path(__file__).parents[2] / "docs" / "templates.md").read_text()
BLOCKS = re.compile(r"```python\n(.*?)```(?:\n```text\n(.*?)```)?", re.DOTALL)


def printed_by(code: str, file: str, names: dict[str, object]) -> str:
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, file, "exec"), names)
    return printed.getvalue()


@pytest.mark.long
def test_the_examples_print_what_stands_below_them() -> None:
    names: dict[str, object] = {}
    for found in BLOCKS.finditer(TEXT):
        assert printed_by(found[1], f"<templates.md {found.start()}>", names) == (found[2] or "")


def test_every_ready_job_is_in_the_table() -> None:
    table = TEXT.partition("Those with an arrow")[0]
    named = set(re.findall(r"(\w+)\(", table)) | set(re.findall(r"→ `(\w+)`", table))
    assert named == set(templates.__all__) - {"AGGREGATES", "image_filter_job", "matrix_multiply_job"}

"""SECURITY.md, CONTRIBUTING.md and the decisions name what is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| `(.+?)` \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)


def test_the_threat_model_has_a_test_for_each_attacker() -> None:
    lines = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(lines) - 1  # but the heading
    assert len(ROWS) > 15


@pytest.mark.parametrize("test", [row[3] for row in ROWS])
def test_a_wall_s_test_is_there(test: str) -> None:
    path, *names = test.split("::")
    found: list[ast.stmt] = ast.parse((ROOT / path).read_text()).body
    for name in names:
        (node,) = [each for each in found if isinstance(each, ast.ClassDef | ast.FunctionDef) and each.name == name]
        found = node.body
    assert names, "a file is no test"


DECISIONS = sorted(f"docs/decisions/{each.name}" for each in (ROOT / "docs/decisions").glob("*.md"))
PAGES = ["CONTRIBUTING.md", "SECURITY.md", *DECISIONS]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text())
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []

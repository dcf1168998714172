"""The far side of an engine on somebody's cluster."""

from __future__ import annotations

import importlib.metadata

import pytest

from pangea.compute.engine.engines import hosted


def test_what_both_sides_must_have_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    known = importlib.metadata.version

    def version(name: str) -> str:
        asked.append(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    hosted.software.cache_clear()
    assert hosted.software() == hosted.software()
    assert asked == ["pangea-compute"], "it is in each request, and looking it up takes longer than a task"

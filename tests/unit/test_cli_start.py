"""`pangea run` begins to start its engine before the command line is loaded, where this process is to run the job."""

from __future__ import annotations

import pytest

from pangea.compute.cli import start
from pangea.compute.engine.engines import embedded


@pytest.mark.parametrize(
    ("words", "is_begun"),
    [
        ("run job.py", True),
        ("run job.py --input text.txt --plot tree.png", True),
        ("run", False),
        ("run --help", False),
        ("run job.py --node unix:/run/rpc.sock", False),
        ("run job.py --data-dir=data", False),
        ("run job.py --engine dask://host:8786", False),
        ("doctor run", False),
        ("", False),
    ],
)
def test_the_engine_begins_to_start_where_it_will_be_needed(
    monkeypatch: pytest.MonkeyPatch, words: str, *, is_begun: bool
) -> None:
    begun = []
    monkeypatch.setattr(embedded, "begin", lambda: begun.append(True))
    monkeypatch.delenv("PANGEA_NODE", raising=False)
    start.warm_up(words.split())
    assert bool(begun) is is_begun


def test_it_does_not_for_who_has_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "begin", lambda: pytest.fail("a node runs this job"))
    monkeypatch.setenv("PANGEA_NODE", "unix:/run/rpc.sock")
    start.warm_up(["run", "job.py"])

"""Machines differ, and that gets nobody banned: what one of them can't do is done by another, and the result is exact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pangea.compute import Client
from pangea.compute.client.definition.module import ModuleJob
from pangea.compute.jobs import JobKeywords
from tests.guests import module
from tests.trees import Tree, TreeNode, lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
WAIT = 60
#: So many operations that any node delegates.
HEAVY = 1e13
#: A shell that leaves a program 3 GiB of addresses: no sandbox fits, all else does.
SHORT_OF_MEMORY = ("sh", "-c", 'ulimit -v 3145728; exec "$@"', "sh")


def joined(tree: Tree, owner: TreeNode, prefix: Sequence[str]) -> TreeNode:
    """A node of another kind, below `owner`."""
    node = TreeNode(tree.folder / "other", "--workers", "1", "--join", owner.multiaddr, prefix=prefix)
    tree.nodes.append(node)
    tree.grown(owner, 1)
    return node


@pytest.mark.parametrize("mode", ["adaptive", *(pytest.param(each, marks=pytest.mark.long) for each in ("redundancy", "merkle"))])
def test_a_node_without_memory_for_a_sandbox_is_no_liar(tmp_path: Path, mode: str) -> None:
    data = lines(20)
    with Tree(tmp_path) as tree:
        owner = tree.add(None)
        other = joined(tree, owner, SHORT_OF_MEMORY)
        (warning,) = other.events("no room for a sandbox")
        assert "this process may have 3.0 GiB (ulimit -v): the node starts" in warning["error"]
        assert warning["remedy"].startswith("ulimit -v 4718592")
        with Client(str(owner.data_dir)) as client:
            job = ModuleJob(module())
            options: JobKeywords = {
                "split_strategy": "row_based",
                "min_chunk_size": 64,
                "max_chunk_size": 64,
                "estimated_flops": HEAVY,
            }
            handle = client.submit_job(job, data, **options)
            assert bytes(handle.result(WAIT)) == data
        assert owner.census()["banned"] == []

"""Nodes at two sites: what `locality` does to where work goes, and to the bytes that cross between sites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute import Client, Job
from pangea.compute.model.options import Locality
from tests.trees import Tree, TreeNode, lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
WAIT = 60
CHUNK_BYTES = 1 << 14
LITTLE = lines(500)
#: More than a node does by itself (2 s), and less than is worth the way to another site (2 s for those near): of one core.
SECONDS = 3.2


@Job.define(split_strategy="fixed_size", min_chunk_size=CHUNK_BYTES, max_chunk_size=CHUNK_BYTES, estimated_flops=1e13)
def stirred() -> None:
    """Some tenths of a second of work on each chunk, with as much to carry back."""

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        value = 7
        for _ in range(24):
            for byte in chunk:
                value = (value * 31 + byte) & 0xFFFFFFFF
        return b"%d;" % value + chunk


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A root at home with a child there, and two children away."""
    with Tree(tmp_path_factory.mktemp("sites")) as tree:
        root = tree.add(None, "--site", "home")
        tree.add(root, "--site", "home", workers=2)
        for _ in range(2):
            tree.add(root, "--site", "away")
        tree.grown(root, 3)
        with Client(str(root.data_dir)) as client:  # modules cross once, before anything is counted
            client.submit_job(stirred, LITTLE * 8, locality=Locality.SPREAD).result(WAIT)
        yield tree


def crossed(root: TreeNode) -> int:
    """Bytes that have crossed between sites at the root."""
    return int(root.census()["cross_site_bytes"])


def enough(root: TreeNode) -> bytes:
    """As much as takes one core of this machine `SECONDS`, at the moment."""
    with Client(str(root.data_dir)) as client:
        little = client.submit_job(stirred, LITTLE, verification_mode="none").result(WAIT)
    return lines(round(LITTLE.count(b"\n") * SECONDS / little.report.execute_seconds))


def done_by(tree: Tree, data: bytes, locality: Locality) -> tuple[int, int]:
    """Have the job done; bytes that crossed for it, and chunks done away."""
    root, away = tree.nodes[0], {node.peer for node in tree.nodes[2:]}
    before = crossed(root)
    with Client(str(root.data_dir)) as client:
        handle = client.submit_job(stirred, data, locality=locality, verification_mode="none")
        assert bytes(handle.result(WAIT)) == stirred.run_local(data)
    rows = root.ask(lambda node: node.tree(handle.job_id))["workers"]
    return crossed(root) - before, sum(row["chunks"] for row in rows if row["peer"] in away)


@pytest.mark.long
def test_the_sites_that_a_job_may_use_differ_by_its_locality(tree: Tree) -> None:
    data, bytes_of, away = enough(tree.nodes[0]), {}, {}
    for locality in Locality:
        bytes_of[locality], away[locality] = done_by(tree, data, locality)
    print(f"\nof {len(data):,} bytes each way: crossed {bytes_of}, chunks done away {away}")
    assert away[Locality.PREFER_LOCAL] < min(away[Locality.ANY], away[Locality.SPREAD])
    assert bytes_of[Locality.PREFER_LOCAL] < min(bytes_of[Locality.ANY], bytes_of[Locality.SPREAD])


@pytest.mark.long
def test_each_side_sees_the_other_s_site(tree: Tree) -> None:
    root = tree.nodes[0]
    assert sorted(child["site"] for child in root.children()) == ["away", "away", "home"]
    away = tree.nodes[2].census()
    assert (away["site"], away["peers"][0]["site"]) == ("away", "home")
    assert away["cross_site_bytes"] > 0
    assert tree.nodes[1].census()["cross_site_bytes"] == 0

"""docs/tcp_client.md, done as it says on two machines, by somebody who has nothing yet; and each refusal that it names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deadlines import until
from tests.e2e.test_docs import commands_of, python_of
from tests.hosts import Host, Hosts

PAGE = "docs/tcp_client.md"
TEXT = (Path(__file__).parents[2] / PAGE).read_text()
START = "pangea node start --data-dir D"
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("need_hosts"),
]
WAIT = 120.0


class Machine:
    """A host with a folder of its own, in which somebody types."""

    def __init__(self, host: Host, folder: Path) -> None:
        folder.mkdir()
        self.host, self.folder = host, folder
        given = {
            name: value for name, value in os.environ.items() if not name.startswith("PANGEA_") or name == "PANGEA_CACHE_DIR"
        }
        self.environ = given | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)}

    def types(self, script: str) -> tuple[int, str, str]:
        """Commands, to their end: exit code, stdout and stderr."""
        done = subprocess.run(
            [*self.host.prefix, "bash", "-eu", "-c", script],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT,
        )
        return done.returncode, done.stdout, done.stderr

    def leaves_running(self, script: str) -> subprocess.Popen[bytes]:
        """Commands of which the last goes on; until its node serves."""
        log = self.folder / "node.log"
        with log.open("wb") as file:
            process = self.host.run(["bash", "-eu", "-c", script], cwd=self.folder, env=self.environ, stderr=file)
        until(lambda: "ready" in log.read_text(), seconds=WAIT, what="the node")
        return process


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    with Hosts() as hosts:
        cellar, desk = (Machine(hosts.add(name), tmp_path / name) for name in ("cellar", "desk"))
        assert cellar.host.address in TEXT
        yield cellar, desk


def filled(block: str, *ids: str) -> str:
    """A block with real peer ids where the page has dots; comments say what they stand for."""
    plain = "\n".join(line.partition("  #")[0].rstrip() for line in block.splitlines())
    for each in ids:
        plain = plain.replace("12D3KooW…", each, 1)
    assert "…" not in plain
    return plain


def refused(desk: Machine, node: str, *words: str) -> str:
    code, out, err = desk.types(f"pangea run words.py --input words.py --node {node} {' '.join(words)}")
    assert (code, out) == (3, ""), err
    return err


def is_on_the_page(said: str, row: str) -> bool:
    return row in said and row in TEXT


def test_the_page_as_it_stands_on_two_machines(machines: tuple[Machine, Machine]) -> None:
    cellar, desk = machines
    me = desk.types(commands_of("pangea id", PAGE))[1].strip()
    allowing, node_id, starting = filled(commands_of("DESK=", PAGE), me).splitlines()
    node = cellar.types(node_id)[1].strip()
    address = f"tcp://{cellar.host.address}:4040/{node}"
    (desk.folder / "words.py").write_text(python_of("# words.py", PAGE))
    (desk.folder / "remote.py").write_text(python_of("# remote.py", PAGE).replace("12D3KooW…", node))

    assert is_on_the_page(refused(desk, address, "--identity", "me.key"), "no node at ")
    assert is_on_the_page(refused(desk, address), "wants to know who you are")

    cellar.leaves_running(f"{allowing}\nexec {starting}")
    code, out, err = desk.types(filled(commands_of("export PANGEA_NODE", PAGE), node))
    assert code == 0, err
    words = len((desk.folder / "words.py").read_text().split())
    assert out.startswith(str(words))
    assert "complete" in out, "the job is in the list"
    code, out, err = desk.types("python remote.py")
    assert (code, out.strip()) == (0, "5"), err

    stranger = desk.types("pangea id --identity other.key")[1].strip()
    said = refused(desk, address, "--identity", "other.key")
    assert f"hung up before it said anything: it doesn't know {stranger}" in said
    assert "hung up before it said anything: it doesn't know 12D3KooW…" in TEXT
    assert f"--allow {stranger}" in said, "what to ask for"
    said = refused(desk, address.replace(node, me), "--identity", "me.key")
    assert f"is node {node}, not {me}" in said
    assert "is node 12D3KooW…, not 12D3KooW…" in TEXT
    assert "pangea node id" in said

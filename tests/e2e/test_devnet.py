"""`pangea devnet` as a user meets it: a tree that works, that says who is who, and that leaves nothing behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deadlines import is_running, until
from tests.devnets import DevnetProcess
from tests.nodes import data_of, pangea

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
WORDS = str(Path(__file__).parents[2] / "examples" / "word_count.py")
#: However light it is: work for others.
DELEGATED = ("--operation-type", "monte_carlo", "--max-chunk-size", "16KiB", "--min-chunk-size", "4KiB")
LIARS = 2


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevnetProcess]:
    """Seven nodes, two of them liars; one leaf only dials."""
    options = ("--nodes", "7", "--depth", "2", "--liar", f"random:{LIARS}:0.6", "--behind-nat", "1", "--sites", "lab,home")
    with DevnetProcess(tmp_path_factory.mktemp("devnet"), *options) as devnet:
        yield devnet


@pytest.fixture
def words(tmp_path: Path) -> str:
    """The job, as a module of each test's own: what nodes learn of one's cost is by module, and a cheap one stays at home."""
    path = tmp_path / "words.py"
    path.write_text(
        Path(WORDS).read_text().replace('return b"%d" % len(chunk.split())', f'return b"%d" % len(chunk.split())  # {tmp_path}')
    )
    return str(path)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_bytes(b"to be or not\nto be that is the question\n" * 12_000)
    return path


def on(devnet: DevnetProcess, *arguments: str) -> tuple[int, bytes, str]:
    done = pangea(*arguments, PANGEA_NODE=devnet.node)
    return done.returncode, done.stdout, done.stderr.decode()


def test_it_says_who_is_who_and_prints_one_line(devnet: DevnetProcess) -> None:
    lines = devnet.said.splitlines()
    assert len(lines) == 7
    assert [sum(role in line for line in lines) for role in (" owner ", " manager ", " worker ")] == [1, 2, 4]
    assert sum("(liar: random:0.6)" in line for line in lines) == LIARS
    assert sum("behind a NAT" in line for line in lines) == 1
    assert sum("(site home)" in line for line in lines) == 3
    assert devnet.printed.count("\n") == 1


def test_a_job_is_exact_its_liars_are_banned_with_the_cause_and_its_tree_is_drawn(
    devnet: DevnetProcess, text: Path, words: str
) -> None:
    receipt = text.with_name("receipt")
    code, printed, said = on(devnet, "run", words, "--input", str(text), "-q", "--receipt", str(receipt), *DELEGATED)
    assert (code, printed, said) == (0, b"120000", "")
    assert pangea("verify", str(receipt)).returncode == 0
    again = text.with_name("again")
    assert on(devnet, "job", "receipt", "last", "--output", str(again))[0] == 0
    assert json.loads(again.read_bytes())["job"]["id"] == json.loads(receipt.read_bytes())["job"]["id"]
    assert pangea("verify", str(again)).returncode == 0
    drawn = on(devnet, "job", "tree", "last")[1].decode().splitlines()
    assert len(drawn) >= 9
    assert sum(line.startswith(("├─ ", "└─ ")) for line in drawn) == 2
    assert any("checks passed" in line or "no check passed yet" in line for line in drawn), drawn
    record = data_of(on(devnet, "job", "tree", "last", "--json")[1])
    assert sum(row["chunks"] for row in record["workers"]) >= 24_000
    known = data_of(on(devnet, "peer", "list", "--json")[1])
    assert len(known["below"]) == 6
    liars = [line.split()[3] for line in devnet.said.splitlines() if "liar" in line]
    banned = {ban["peer"][:16] for ban in known["banned"]}
    assert banned, "six lies in ten tasks, and nobody was caught"
    assert banned <= set(liars)
    causes = [ban["cause"] for ban in known["banned"]]
    assert all("what this node found" in cause for cause in causes), causes  # at once, or when it was wrong again
    listed = on(devnet, "peer", "list")[1].decode()
    assert "banned until 20" in listed
    assert listed.count("  child  ") == 2
    assert b"CREDIBILITY" in on(devnet, "peer", "trust")[1]


@pytest.mark.long
def test_peers_are_banned_and_pardoned_by_hand(devnet: DevnetProcess) -> None:
    beginning = next(line.split()[3] for line in devnet.said.splitlines() if " manager " in line)
    known = data_of(on(devnet, "peer", "list", "--json")[1])
    (manager,) = (each["peer"] for each in known["peers"] if each["peer"].startswith(beginning))
    assert on(devnet, "peer", "ban", beginning, "--reason", "noisy")[0] == 0
    shown = on(devnet, "peer", "show", beginning)[1].decode()
    assert "noisy" in shown
    code, _, said = on(devnet, "peer", "unban", manager)
    assert (code, "may come back" in said) == (0, True)
    assert "was not banned" in on(devnet, "peer", "unban", manager)[2]
    until(lambda: on(devnet, "peer", "list")[1].count(b"  child  ") == 2, seconds=60, what="the manager's return")
    code, _, said = on(devnet, "peer", "show", "12D3KooWnobody")
    assert (code, "knows no peer" in said) == (1, True)


def test_a_receipt_needs_a_node(text: Path) -> None:
    done = pangea("run", WORDS, "--input", str(text), "--receipt", str(text.with_name("receipt")))
    assert done.returncode == 2
    assert b"a receipt is signed by a node" in done.stderr


@pytest.mark.long
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with DevnetProcess(tmp_path, "--nodes", "2", "--depth", "1") as devnet:
        processes = devnet.processes()
        assert len(processes) >= 4, "two nodes and a worker of each"
        assert len(devnet.folders()) == 1
        assert devnet.end(signal.SIGINT) == 130
        until(lambda: not any(map(is_running, processes)), what="the end of all its processes")
        assert devnet.folders() == []


@pytest.mark.long
def test_killed_it_takes_its_nodes_along_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    with DevnetProcess(tmp_path, "--nodes", "2", "--depth", "1") as devnet:
        processes, left = devnet.processes(), devnet.folders()
        devnet.end(signal.SIGKILL)
        until(lambda: not any(map(is_running, processes)), what="the end of all its processes")
        assert devnet.folders() == left
    with DevnetProcess(tmp_path, "--nodes", "1", "--depth", "0") as devnet:
        assert len(devnet.folders()) == 1
        assert devnet.folders() != left


@pytest.mark.long
def test_what_can_not_be_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with DevnetProcess(tmp_path, "--nodes", "3", "--depth", "3") as devnet:
        assert devnet.process.wait(20) == 2
        assert "3 nodes are too few for depth 3: that takes 4 at least" in devnet.said
        assert devnet.folders() == []


@pytest.mark.long
@pytest.mark.timeout(300)
def test_thirty_two_nodes_find_each_other_within_two_minutes(tmp_path: Path, text: Path) -> None:
    with DevnetProcess(tmp_path, "--nodes", "32", "--depth", "2", "--discovery", seconds=120) as devnet:
        lines = devnet.said.splitlines()
        parents = {line.split()[1]: line.rpartition("under ")[2].split()[0] for line in lines if "under " in line}
        assert len(parents) == 31
        assert set(parents.values()) - {"0"}, "all are children of node 0"
        code, printed, _ = on(devnet, "run", WORDS, "--input", str(text), "-q", *DELEGATED)
        assert (code, printed) == (0, b"120000")
        workers = data_of(on(devnet, "job", "tree", "last", "--json")[1])["workers"]
        assert any(row["branch"] not in ("", row["peer"]) for row in workers), "nothing was done two levels below"


@pytest.mark.long
def test_mdns_alone_is_enough(tmp_path: Path, text: Path) -> None:
    with DevnetProcess(tmp_path, "--nodes", "4", "--depth", "2", "--discovery", "mdns") as devnet:
        code, printed, _ = on(devnet, "run", WORDS, "--input", str(text), "-q", *DELEGATED)
        assert (code, printed) == (0, b"120000")

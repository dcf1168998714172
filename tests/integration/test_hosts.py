"""The harness of hosts and links that fail: real sockets show that each fault is what it says, and that nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests import hosts as hosts_module
from tests.deadlines import is_running, until
from tests.hosts import Host, Hosts, namespaces
from tests.nodes import PANGEA, NodeProcess
from tests.proxy import Faults, Line, Proxy

pytestmark = [pytest.mark.timeout(120), pytest.mark.long]  # as all that runs on hosts of its own
needs_hosts = pytest.mark.usefixtures("need_hosts")
WORDS = str(Path(__file__).parents[2] / "examples" / "word_count.py")
#: Long enough for a packet on a bridge, short enough to wait for it not to come.
SILENCE_SECONDS = 0.4
#: That of mDNS (RFC 6762).
GROUP, GROUP_PORT = "224.0.0.251", 5353
LOSSY = Faults(latency=0.01, jitter=0.02, loss=0.1)


class Echo:
    """A server that says everything back, on one host: its sockets are there, its threads here."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._listener = socket.create_server((address, 0))
        self.endpoint: tuple[str, int] = self._listener.getsockname()[:2]
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                thread = threading.Thread(target=self._say_back, args=[connection])
                self._threads.append(thread)
                thread.start()

    @staticmethod
    def _say_back(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for each in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in (self._listener, *self._connections):
            each.close()


@contextlib.contextmanager
def echo_at(host: Host) -> Iterator[tuple[str, int]]:
    with host.inside():
        server = Echo(host.address)
    try:
        yield server.endpoint
    finally:
        server.close()


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with Hosts() as made:
        yield made


def dial(host: Host, endpoint: tuple[str, int], *, seconds: float = 5.0) -> socket.socket:
    with host.inside():
        return socket.create_connection(endpoint, seconds)


def is_answered(connection: socket.socket, *, seconds: float = 5.0) -> bool:
    """Whether what is said comes back in time."""
    connection.settimeout(seconds)
    word = os.urandom(8)
    try:
        connection.sendall(word)
        return connection.recv(8, socket.MSG_WAITALL) == word
    except TimeoutError:
        return False


def gets(host: Host, sender: Host) -> bool:
    """Whether a datagram from `sender` reaches `host`: one direction by itself, which TCP can't show."""
    with host.inside():
        inbox = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender.inside():
        outbox = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with inbox, outbox:
        inbox.bind((host.address, 0))
        inbox.settimeout(SILENCE_SECONDS)
        outbox.sendto(b"x", inbox.getsockname())
        with contextlib.suppress(TimeoutError):
            return inbox.recv(1) == b"x"
        return False


@needs_hosts
@pytest.mark.slow
def test_a_partition_is_silence_both_ways_and_heals(hosts: Hosts) -> None:
    a, b, c, d = map(hosts.add, "abcd")
    with echo_at(c) as at_c, echo_at(b) as at_b, dial(a, at_c) as across, dial(a, at_b) as within:
        assert is_answered(across)
        hosts.partition({a, b}, {c, d})
        assert not is_answered(across, seconds=SILENCE_SECONDS)
        assert is_answered(within)
        for one, other in ((a, c), (c, a), (b, d), (d, a)):
            assert not gets(one, other)
        assert gets(a, b)
        assert gets(c, d)
        with pytest.raises(TimeoutError):
            dial(b, at_c, seconds=SILENCE_SECONDS)
        hosts.heal()
        assert gets(a, c)
        assert gets(c, a)
        across.settimeout(20)
        assert across.recv(8, socket.MSG_WAITALL), "TCP sends again what was lost"
        assert is_answered(across)


@needs_hosts
def test_a_one_way_cut_is_one_way(hosts: Hosts) -> None:
    a, b = map(hosts.add, "ab")
    a.cut_inbound_from(b)
    assert gets(b, a)
    assert not gets(a, b)
    with echo_at(b) as endpoint:
        with pytest.raises(TimeoutError):
            dial(a, endpoint, seconds=SILENCE_SECONDS)
        hosts.heal()
        with dial(a, endpoint) as connection:
            assert is_answered(connection)


@needs_hosts
@pytest.mark.slow
def test_a_host_whose_cable_is_pulled_is_silent_until_it_is_back(hosts: Hosts) -> None:
    a, b = map(hosts.add, "ab")
    with echo_at(b) as endpoint, dial(a, endpoint) as connection:
        b.cut()
        assert not is_answered(connection, seconds=SILENCE_SECONDS)
        assert not gets(a, b)
        with b.inside(), socket.create_server(("127.0.0.1", 0)) as own:
            socket.create_connection(own.getsockname(), 5).close()  # it lives on by itself
        b.heal()
        until(lambda: gets(a, b), what="the way back")
        connection.settimeout(20)
        assert connection.recv(8, socket.MSG_WAITALL)


@needs_hosts
@pytest.mark.slow
def test_behind_nat_one_dials_out_and_is_not_reached(hosts: Hosts) -> None:
    inner, outer = hosts.add("inner", behind_nat=True), hosts.add("outer")
    with echo_at(inner) as at_inner, echo_at(outer) as at_outer:
        with dial(inner, at_outer) as connection:
            assert is_answered(connection)
        with pytest.raises(TimeoutError):
            dial(outer, at_inner, seconds=SILENCE_SECONDS)
        assert not gets(inner, outer)
        hosts.heal()
        with pytest.raises(TimeoutError):
            dial(outer, at_inner, seconds=SILENCE_SECONDS)
        with dial(inner, at_inner) as to_itself:
            assert is_answered(to_itself)


@needs_hosts
def test_multicast_reaches_everybody_who_is_not_cut_off(hosts: Hosts) -> None:
    a, b, c = map(hosts.add, "abc")
    hosts.partition({a, b}, {c})
    with contextlib.ExitStack() as sockets:
        inboxes = [sockets.enter_context(listening_to_a_group(host)) for host in (b, c)]
        with a.inside():
            outbox = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        outbox.sendto(b"x", (GROUP, GROUP_PORT))
        assert inboxes[0].recv(1) == b"x"
        with pytest.raises(TimeoutError):
            inboxes[1].recv(1)


def listening_to_a_group(host: Host) -> socket.socket:
    with host.inside():
        inbox = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inbox.bind(("", GROUP_PORT))
    inbox.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(host.address))
    inbox.settimeout(SILENCE_SECONDS)
    return inbox


TALKER = """
import ctypes, os, socket, sys
is_child = os.fork() == 0
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
if is_child:
    os.setsid()
    ctypes.CDLL(None).unshare(0x40000000)  # a network of its own, as workers have one
connection.send(b"1")
connection.recv(1)
"""


@needs_hosts
def test_a_killed_host_is_gone_without_a_goodbye_and_so_are_all_its_processes(hosts: Hosts) -> None:
    a, b = map(hosts.add, "ab")
    with a.inside(), socket.create_server((a.address, 0)) as listener:
        endpoint = listener.getsockname()
        process = b.run([sys.executable, "-c", TALKER, endpoint[0], str(endpoint[1])])
        connection, _ = listener.accept()
        other, _ = listener.accept()
    with connection, other:
        assert connection.recv(1) + other.recv(1) == b"11"
        there = b.processes()
        assert len(there) == 2
        assert process.pid in there
        b.kill()
        assert not any(map(is_running, there))
        assert b.processes() == []
        assert process.returncode == -signal.SIGKILL
        for each in (connection, other):
            each.settimeout(SILENCE_SECONDS)
            with pytest.raises(TimeoutError):
                each.recv(1)
        b.heal()
        assert b.run(["true"]).wait(10) == 0


@needs_hosts
def test_hosts_see_neither_the_machine_s_network_nor_other_hosts(hosts: Hosts) -> None:
    a = hosts.add("a")
    with Hosts() as others, socket.create_server(("127.0.0.1", 0)) as of_the_machine:
        b = others.add("b")
        assert b.address == a.address
        with pytest.raises(ConnectionRefusedError):
            dial(a, of_the_machine.getsockname())
    listed = a.run(["ip", "-o", "address"], stdout=subprocess.PIPE, text=True).communicate(timeout=10)[0]
    assert {line.split()[1] for line in listed.splitlines()} == {"lo", "eth0"}
    assert "fe80" not in listed


def links() -> set[str]:
    return {line.partition(" ")[0] for line in subprocess.check_output(["ip", "-o", "link"], text=True).splitlines()}


@needs_hosts
def test_nothing_is_left_also_after_an_error() -> None:
    before, home = links(), os.readlink("/proc/self/ns/net")

    def fail() -> None:
        with Hosts() as hosts:
            a = hosts.add("a")
            process.append(a.run(["sleep", "600"]))
            assert own(namespaces())
            assert links() == before
            with a.inside():
                assert os.readlink("/proc/thread-self/ns/net") != home
                raise ZeroDivisionError

    process: list[subprocess.Popen[bytes]] = []
    with pytest.raises(ZeroDivisionError):
        fail()
    assert own(namespaces()) == []
    assert links() == before
    assert not is_running(process[0].pid)
    assert os.readlink("/proc/thread-self/ns/net") == home


def own(names: list[str], pid: int | None = None) -> list[str]:
    return [name for name in names if name.split("-")[2] == str(pid or os.getpid())]


@needs_hosts
def test_what_is_run_on_a_host_is_there(hosts: Hosts) -> None:
    host, other = hosts.add("a"), hosts.add("b")
    pid = host.run(["sleep", "600"]).pid
    assert (host.has(pid), other.has(pid)) == (True, False)


KILLED = """
import os, signal
from tests.hosts import Hosts
hosts = Hosts().__enter__()
print(hosts.add("a").run(["sleep", "600"]).pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@needs_hosts
def test_what_a_killed_run_left_is_cleaned_by_the_next_and_nothing_else(hosts: Hosts) -> None:
    kept = hosts.add("kept")
    sleeper = kept.run(["sleep", "600"])
    stray = "pangea-other"
    subprocess.run(["ip", "netns", "add", stray], check=True)
    try:
        with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE) as killed:
            assert killed.stdout is not None
            left = int(killed.stdout.readline())
        assert is_running(left)
        assert len(own(namespaces(), killed.pid)) == 2
        with Hosts():
            assert own(namespaces(), killed.pid) == []
        assert not is_running(left)
        assert sleeper.poll() is None
        assert (hosts_module._FOLDER / stray).exists()
    finally:
        subprocess.run(["ip", "netns", "delete", stray], check=True)


@pytest.mark.long
@needs_hosts
@pytest.mark.slow
def test_a_node_on_a_host_serves_other_hosts_until_that_dies(hosts: Hosts, tmp_path: Path) -> None:
    from pangea.compute.network.identity import Identity

    client, server = hosts.add("client", behind_nat=True), hosts.add("server")
    key, text = tmp_path / "key", tmp_path / "text"
    text.write_bytes(b"to be or not to be\n")
    friend = Identity.load_or_create(key).peer_id
    options = ("--listen", f"{server.address}:7000", "--allow", friend, "--workers", "1")
    with NodeProcess(tmp_path / "node", *options, prefix=server.prefix) as node:
        assert node.process.pid in server.processes()
        address = next(json.loads(line)["address"] for line in node.log().splitlines() if '"address"' in line)
        asked = [PANGEA, "run", WORDS, "--input", str(text), "-q", "--node", address, "--identity", str(key)]
        done = client.run(asked, stdout=subprocess.PIPE)
        assert done.communicate(timeout=60)[0] == b"6"
        server.kill()
        assert node.wait() == -signal.SIGKILL
        with pytest.raises(OSError, match=r"timed out|No route"):
            dial(client, (server.address, 7000), seconds=SILENCE_SECONDS)
        server.heal()
        node.start()
        assert client.run(asked, stdout=subprocess.DEVNULL).wait(60) == 0


# -- the proxy --


def assert_takes(trip: Callable[[], None], *, least: float, most: float) -> None:
    """No trip takes less than `least` seconds; nor does each take `most`, though the machine may hold up this one or that."""

    def is_quick() -> bool:
        start = time.monotonic()
        trip()
        took = time.monotonic() - start
        assert took >= least
        return took < most

    until(is_quick, seconds=60, what=f"a trip in less than {most} s")


def there_and_back(connection: socket.socket) -> Callable[[], None]:
    def trip() -> None:
        assert is_answered(connection, seconds=20)

    return trip


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.mark.slow
def test_latency_is_about_what_was_asked_and_changes_at_run_time(echo: Echo) -> None:
    with Proxy(echo.endpoint, latency=0.05) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        assert_takes(there_and_back(connection), least=0.1, most=0.2)
        assert proxy.set(latency=0.15)["latency"] == 0.15
        assert_takes(there_and_back(connection), least=0.3, most=0.4)
        proxy.heal()
        assert_takes(there_and_back(connection), least=0.0, most=0.03)


@pytest.mark.slow
def test_bandwidth_is_about_what_was_asked_and_not_a_byte_is_lost_or_changed(echo: Echo) -> None:
    content = Random(1).randbytes(1 << 20)
    with Proxy(echo.endpoint, bandwidth=2.0 * len(content), jitter=0.01, loss=0.01) as proxy:

        def trip() -> None:
            with socket.create_connection(("127.0.0.1", proxy.port), 50) as connection:
                sender = threading.Thread(target=send_all, args=[connection, content])
                sender.start()
                with connection.makefile("rb") as file:
                    assert file.read() == content
                sender.join(20)

        assert_takes(trip, least=0.5, most=5)


def send_all(connection: socket.socket, content: bytes) -> None:
    connection.sendall(content)
    connection.shutdown(socket.SHUT_WR)


@pytest.mark.slow
def test_a_lost_packet_is_a_wait(echo: Echo) -> None:
    with Proxy(echo.endpoint, loss=1.0) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        assert_takes(there_and_back(connection), least=0.4, most=2)


def test_what_is_held_arrives_later_and_a_reset_is_one(echo: Echo) -> None:
    with Proxy(echo.endpoint) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        assert is_answered(connection)
        proxy.hold()
        assert not is_answered(connection, seconds=SILENCE_SECONDS)
        proxy.heal()
        connection.settimeout(10)
        assert len(connection.recv(8, socket.MSG_WAITALL)) == 8
        assert proxy.reset_connections() == 1
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        with socket.create_connection(("127.0.0.1", proxy.port)) as fresh:
            assert is_answered(fresh)


def test_a_proxy_to_nowhere_breaks_the_connection(echo: Echo) -> None:
    echo.close()
    with (
        Proxy(echo.endpoint) as proxy,
        pytest.raises(ConnectionResetError),  # of the first read, or already while connecting
        socket.create_connection(("127.0.0.1", proxy.port), 10) as connection,
    ):
        connection.recv(1)


def test_a_proxy_that_is_told_nonsense_says_so_and_goes_on(echo: Echo) -> None:
    with Proxy(echo.endpoint) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        for nonsense in ({"latency": -1.0}, {"loss": 2.0}, {"wormhole": 1.0}):
            with pytest.raises(AssertionError):
                proxy.set(**nonsense)
        assert is_answered(connection)


def test_a_proxy_ends_with_who_made_it() -> None:
    code = "from tests.proxy import Proxy; print(Proxy(('127.0.0.1', 1)).pid, flush=True); import os; os.kill(os.getpid(), 9)"
    pid = int(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=60, check=False).stdout)
    until(lambda: not is_running(pid), what="the proxy's end")
    assert not is_running(pid)


@needs_hosts
@pytest.mark.slow
def test_a_proxy_stands_between_hosts(hosts: Hosts) -> None:
    a, between, b = map(hosts.add, ("a", "between", "b"))
    with (
        echo_at(b) as endpoint,
        Proxy(endpoint, at=between.address, prefix=between.prefix, latency=0.1) as proxy,
        dial(a, (between.address, proxy.port)) as connection,
    ):
        hosts.partition({a}, {b})
        assert_takes(there_and_back(connection), least=0.2, most=0.8)


def times(seed: int, *, reads: int = 200, size: int = 1000, faults: Faults = LOSSY) -> list[float]:
    line = Line(Random(seed))
    return [line.due(0.001 * each, size, faults) for each in range(reads)]


def test_what_a_line_does_follows_from_its_seed_and_keeps_the_order() -> None:
    assert times(1) == times(1)
    assert times(1) != times(2)
    assert times(1) == sorted(times(1))


def test_what_is_lost_takes_the_longest_time_that_tcp_knows_and_all_behind_it_waits() -> None:
    lossless = Faults(latency=0.01, jitter=0.02)
    assert max(due - 0.001 * each for each, due in enumerate(times(1, faults=lossless))) < 0.031
    delays = [due - 0.001 * each for each, due in enumerate(times(1))]
    assert 0.22 < max(delays) < 0.26
    bulk = [due - 0.001 * each for each, due in enumerate(times(1, size=1 << 16, faults=Faults(latency=0.01, loss=1.0)))]
    assert bulk == pytest.approx([0.03] * 200)


def test_a_line_with_a_bandwidth_sends_one_read_after_the_other() -> None:
    line, faults = Line(Random(0)), Faults(latency=1.0, bandwidth=1000.0)
    assert [line.due(now, 500, faults) for now in (0.0, 0.0, 0.2, 10.0)] == [1.5, 2.0, 2.5, 11.5]

"""Hosts that can be cut off: network namespaces on one bridge, each with its own address, for tests with real processes.

Nothing of the machine's own network is touched: the bridge has a namespace of its own. Every fault is silence, as on a real
network: a cut host is a cable pulled out, whatever is dropped is dropped without a word to its sender. So whoever talks
into a cut learns of it by a deadline only, and after `heal` TCP goes on when its next retransmission is due: the longer the
cut, the later. There is no latency and no loss here (few kernels have netem): tests/proxy.py makes those.

Names carry the id and the start of the process that made them, so what a killed run left behind is told from what is in
use, and cleaned away by the next run.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.deadlines import children_of, until

_PREFIX = "pangea-test"
_SUBNET = "10.77.0"
_HOSTS_MAX = 200
_COMMAND_SECONDS = 30.0
_DEATH_SECONDS = 30.0
_CLONE_NEWNET = 0x40000000
_FOLDER = Path("/run/netns")
_serials = itertools.count(1)


class HostsError(RuntimeError):
    """The machine refuses what hosts are made of."""


@functools.cache
def available() -> str:
    """Why there can be no hosts on this machine; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    packages = {"ip": "iproute2", "iptables": "iptables", "nsenter": "util-linux"}
    missing = [package for program, package in packages.items() if shutil.which(program) is None]
    if missing:
        return f"network namespaces need {', '.join(missing)} (apt-get install {' '.join(missing)})"
    try:
        with Hosts() as hosts:
            hosts.partition({hosts.add("a", behind_nat=True)}, {hosts.add("b")})
    except (HostsError, OSError, subprocess.SubprocessError) as error:
        return f"network namespaces are refused here: {error}"
    return ""


class Host:
    """A machine of its own, as far as the network goes: files and processes are everybody's."""

    def __init__(self, hosts: Hosts, name: str, number: int, *, behind_nat: bool) -> None:
        """Plug it into the bridge."""
        self.name = name
        self.address = f"{_SUBNET}.{number + 1}"
        #: Others' first packets don't reach it; answers to its own do. Its address isn't translated.
        self.behind_nat = behind_nat
        self._hosts = hosts
        self._port = f"port{number}"
        self._namespace = hosts._make_namespace(name)
        self._started: list[subprocess.Popen[Any]] = []
        self._plug_in()

    def _plug_in(self) -> None:
        """Lay the cable, and the chain for what is cut."""
        bridge = self._hosts._bridge
        _ip("-n", bridge, "link", "add", self._port, "type", "veth", "peer", "name", "eth0", "netns", self._namespace)
        _ip("-n", bridge, "link", "set", self._port, "master", "bridge", "up")
        _ip("-n", self._namespace, "link", "set", "lo", "up")
        # No link-local IPv6: it would be a way around everything that is cut.
        _ip("-n", self._namespace, "link", "set", "eth0", "addrgenmode", "none", "up")
        _ip("-n", self._namespace, "address", "add", f"{self.address}/24", "dev", "eth0")
        _ip("-n", self._namespace, "route", "add", "default", "dev", "eth0")
        self._iptables("-N", "CUT")
        self._iptables("-A", "INPUT", "-j", "CUT")
        if self.behind_nat:
            self._iptables("-A", "INPUT", "-i", "eth0", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")

    @property
    def prefix(self) -> tuple[str, ...]:
        """What comes before a command that is to run here; the process stays the same, and sees the machine's files."""
        return ("nsenter", f"--net={_FOLDER / self._namespace}", "--")

    def run(self, argv: Collection[str], **popen: Any) -> subprocess.Popen[Any]:
        """Start a process, and wait until it has moved here from where all start; it is killed at the latest with the hosts."""
        process = subprocess.Popen([*self.prefix, *argv], **popen)
        self._started.append(process)
        until(lambda: self.has(process.pid) or process.poll() is not None, what="a process's move to its host")
        return process

    def has(self, pid: int) -> bool:
        """Whether process `pid` is here."""
        with suppress(FileNotFoundError, ProcessLookupError):
            return os.path.samestat(os.stat(f"/proc/{pid}/ns/net"), os.stat(_FOLDER / self._namespace))
        return False

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Within the block, sockets that this thread makes are this host's, and stay so."""
        with open(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net") as home:
            _enter(_FOLDER / self._namespace)
            try:
                yield
            finally:
                _enter(Path(f"/proc/self/fd/{home.fileno()}"))

    def cut(self) -> None:
        """Pull the cable: nothing goes in or out, and nobody is told."""
        _ip("-n", self._hosts._bridge, "link", "set", self._port, "down")

    def heal(self) -> None:
        """Put the cable back. Partitions and one-way cuts are the `Hosts`' to heal."""
        _ip("-n", self._hosts._bridge, "link", "set", self._port, "up")

    def cut_inbound_from(self, other: Host) -> None:
        """Lose what `other` sends here; what goes there arrives. Answers are lost too: neither can use a connection."""
        self._iptables("-A", "CUT", "-s", other.address, "-j", "DROP")

    def kill(self) -> None:
        """Die as a machine does: off the net first, so that no goodbye gets out, and then every process at once."""
        self.cut()
        self._kill_processes()

    def processes(self) -> list[int]:
        """Ids of the processes here and of all their descendants, wherever those live; never this process."""
        found = [*_ids_in(self._namespace)]
        for each in found:
            found += [child for child in children_of(each) if child not in found]
        return [each for each in found if each != os.getpid()]

    def _kill_processes(self) -> None:
        _kill_all(self.processes, what=f"the end of all processes on {self.name}")
        for each in self._started:
            each.wait(_DEATH_SECONDS)

    def _close(self) -> None:
        """Leave nothing."""
        self._kill_processes()
        for each in self._started:
            for stream in (each.stdin, each.stdout, each.stderr):
                with suppress(BrokenPipeError):  # what was left to be written has no reader any more
                    if stream is not None:
                        stream.close()

    def _iptables(self, *words: str) -> None:
        _run(*self.prefix, "iptables", "-w", "10", *words)

    def _forget_cuts(self) -> None:
        self._iptables("-F", "CUT")

    def __repr__(self) -> str:
        return f"<{self.name} {self.address}>"


class Hosts:
    """A network of hosts; nothing of it is left at its end."""

    def __init__(self) -> None:
        self.all: list[Host] = []
        self._set = f"{_PREFIX}-{os.getpid()}-{_start_of(os.getpid())}-{next(_serials)}"
        self._namespaces: list[str] = []
        self._bridge = ""

    def __enter__(self) -> Self:
        _remove_stale()
        with ExitStack() as on_error:
            on_error.push(self.__exit__)
            self._bridge = self._make_namespace("bridge")
            _ip("-n", self._bridge, "link", "add", "bridge", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
            _ip("-n", self._bridge, "link", "set", "bridge", "up")
            on_error.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with ExitStack() as each_of_it:  # whatever fails, the rest is done
            for namespace in self._namespaces:
                each_of_it.callback(_remove, namespace)
            for host in self.all:
                each_of_it.callback(host._close)

    def add(self, name: str, *, behind_nat: bool = False) -> Host:
        """One more host; `behind_nat`, it can dial out and be answered, but nobody can connect to it."""
        assert len(self.all) < _HOSTS_MAX, f"at most {_HOSTS_MAX} hosts"
        host = Host(self, name, len(self.all) + 1, behind_nat=behind_nat)
        self.all.append(host)
        return host

    def partition(self, *groups: Collection[Host]) -> None:
        """Let no packet from one group to another; within a group, and for hosts in none, all is as before."""
        for group in groups:
            others = [host for other in groups if other is not group for host in other]
            for host, other in itertools.product(group, others):
                host.cut_inbound_from(other)

    def heal(self) -> None:
        """End all partitions and one-way cuts."""
        for host in self.all:
            host._forget_cuts()

    def _make_namespace(self, name: str) -> str:
        namespace = f"{self._set}-{name}"
        self._namespaces.append(namespace)
        _ip("netns", "add", namespace)
        return namespace


def namespaces() -> list[str]:
    """Names of all network namespaces that some `Hosts` made, whose ever."""
    return sorted(file.name for file in _FOLDER.glob(f"{_PREFIX}-*"))


def _remove_stale() -> None:
    """Remove what killed runs left behind."""
    for namespace in namespaces():
        pid, start = namespace.removeprefix(f"{_PREFIX}-").split("-")[:2]
        if _start_of(int(pid)) != int(start):
            with suppress(HostsError):  # another run removes it at this moment
                _remove(namespace)


def _remove(namespace: str) -> None:
    """Kill what is left in it, and remove it; its links go with it."""
    if not (_FOLDER / namespace).exists():
        return
    _kill_all(lambda: [each for each in _ids_in(namespace) if each != os.getpid()], what=f"the end of all in {namespace}")
    _ip("netns", "delete", namespace)


def _start_of(pid: int) -> int:
    """When process `pid` started, in clock ticks since the machine's start; -1 when there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return -1


def _ids_in(namespace: str) -> list[int]:
    return [int(each) for each in _ip("netns", "pids", namespace).split()]


def _kill_all(look: Callable[[], Collection[int]], *, what: str) -> None:
    """Kill those that `look` finds, and those that it finds then, until the last thread of the last of them is gone."""
    seen = set[int]()

    def are_dead() -> bool:
        fresh = set(look()) - seen
        seen.update(fresh)
        for pid in fresh:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not fresh and not any(map(_has_threads, seen))

    until(are_dead, seconds=_DEATH_SECONDS, what=what)


def _has_threads(pid: int) -> bool:
    """Whether any thread of the process lives. The first may be a zombie long before the last is gone."""
    states = list[str]()
    for file in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            states.append(file.read_text().rpartition(")")[2].split()[0])
    return any(state not in "ZX" for state in states)


def _enter(namespace: Path) -> None:
    """Move this thread."""
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns comes with Python 3.12
    with open(namespace) as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(namespace))


def _ip(*words: str) -> str:
    return _run("ip", *words)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
    if done.returncode != 0:
        raise HostsError(f"{' '.join(argv)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout

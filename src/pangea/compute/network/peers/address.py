"""Where a node is.

`unix:/path/rpc.sock`, a path to a socket or a data directory; `tcp://host:port/PEER_ID`, or the same as a multiaddr,
`/ip4/1.2.3.4/tcp/4040/p2p/PEER_ID`.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from pangea.compute.model.errors import ConfigError

SOCKET_NAME = "rpc.sock"
#: Beside the socket: takes large content from this machine.
CONTENT_NAME = "content.sock"
#: Beside the socket: held while a node has the directory, and says its process id.
LOCK_NAME = "lock"
_TCP = re.compile(
    r"(?:tcp://)?(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.\-]+):(?P<port>[0-9]{1,5})(?:/(?P<peer>[1-9A-HJ-NP-Za-km-z]{40,70}))?"
)
_MULTIADDR = re.compile(
    r"/(?:ip4|ip6|dns|dns4|dns6)/(?P<host>[A-Za-z0-9.:\-]{1,253})/tcp/(?P<port>[0-9]{1,5})/p2p/(?P<peer>[1-9A-HJ-NP-Za-km-z]{40,70})"
)
_FORMS = "unix:/path/rpc.sock, a data directory, or tcp://host:port/PEER_ID"


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """One node's address.

    Attributes:
        path: of its unix socket; else
        host, port, peer: of its TCP endpoint, and whom to expect there.
    """

    path: Path | None = None
    host: str = ""
    port: int = 0
    peer: str = ""

    @classmethod
    def parse(cls, text: str) -> NodeAddress:
        """Read an address.

        Raises:
            ConfigError: it is none.
        """
        found = _MULTIADDR.fullmatch(text)
        try:
            if found is None and (path := _path_in(text)) is not None:
                return cls(path=path)
        except (OSError, ValueError, RuntimeError) as error:  # too long, no name at all, the home of nobody
            raise _no_address(text) from error
        found = found or _TCP.fullmatch(text)
        if found is None or not 0 < int(found["port"]) < 65_536:
            raise _no_address(text)
        if found["peer"] is None:
            hint = "append its peer id (`pangea node id` prints it): host:port/PEER_ID"
            raise ConfigError(f"{text!r} doesn't say which node to expect there", hint=hint)
        return cls(host=found["host"].strip("[]"), port=int(found["port"]), peer=found["peer"])

    def __str__(self) -> str:
        """The address as `parse` reads it."""
        if self.path is not None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}/{self.peer}"


def _path_in(text: str) -> Path | None:
    """The socket that `text` names, if it names one."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        path = _absolute(text.removeprefix("unix:"))
    elif text.startswith(("/", "./", "../", "~")) or (text and Path(text).exists()):
        path = _absolute(str(Path(text).expanduser()))
        path = path / SOCKET_NAME if _is_directory(path) else path
    else:
        return None
    if b"\0" in os.fsencode(path):
        raise ValueError("a name in the file system has no NUL")
    return path


def _is_directory(path: Path) -> bool:
    """Whether it is one; a name that can't be one is an error, which `Path.is_dir` hides since Python 3.14."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _absolute(name: str) -> Path:
    """The path, with one slash at its beginning: two may mean something else, three are what URLs have."""
    return Path("/" + name.lstrip("/") if name.startswith("/") else name).absolute()


def _no_address(text: str) -> ConfigError:
    absent = "" if ":" in text else ", and there is no such folder here"
    return ConfigError(f"{text[:200]!r} is not the address of a node{absent}", hint=f"give it as {_FORMS}")

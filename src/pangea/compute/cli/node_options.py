"""What commands that speak to a node share: which node, as whom, and how the answer is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from pangea.compute.cli.records import print_data, print_out, wants_json

if TYPE_CHECKING:
    from pangea.compute.client.clients.client import Client

#: Of a peer id: the first eight characters are the same for all.
_SHORT = 16


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class NodeOptions:
    """Which node to speak to."""

    node: str | None = None
    "Address: unix:/path/rpc.sock, a data directory, or tcp://host:port/PEER_ID [default: PANGEA_NODE]."
    data_dir: Path | None = None
    "Data directory of a node on this machine [default: PANGEA_DATA_DIR, else the user's own]."
    identity: Path | None = None
    "Key file that proves who you are, for nodes over TCP [default: PANGEA_IDENTITY]."

    def address(self) -> str | None:
        """The address that the flags give; None: the environment's, or the user's own node."""
        if self.node or self.data_dir is None:
            return self.node or None
        # A folder's name, even if there is none yet: no other form of address.
        return str(self.data_dir if str(self.data_dir).startswith("~") else self.data_dir.absolute())

    def client(self) -> Client:
        """A client of that node."""
        from pangea.compute.client.clients.client import Client

        return Client(self.address(), identity=self.identity)


def print_record(record: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one record: as JSON, or a line for each field."""
    if wants_json(as_json=as_json):
        print_data(record)
        return
    width = max(map(len, record))
    for name, value in record.items():
        print_out(f"{name.replace('_', ' '):<{width}}  {_shown(name, value)}")


def _shown(name: str, value: object) -> object:
    if name.endswith("_at") and isinstance(value, float) and value > 0:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, dict):
        figures = {key: f"{each:,.6g}" if isinstance(each, int | float) else each for key, each in value.items()}
        return ", ".join(f"{key.replace('_', ' ')} {each}" for key, each in figures.items() if each != "")
    return f"{value:,.6g}" if isinstance(value, float) else value


def short(peer: str) -> str:
    """A peer's id as tables show it: the beginning, which commands take for the whole."""
    return peer[:_SHORT]

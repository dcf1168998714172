"""A worker process that a guest has taken over: it says hello as it should, and then what the test wants."""

from __future__ import annotations

import os
import socket
from typing import Any

from pangea.compute.engine.channel import Progress, Records

HELLO = {"profile": "none", "problem": None}


def main(socket_descriptor: int, _memory: int, progress: int, _parent: int, _modules: str, lies: list[Any]) -> None:
    """Answer each record of the node with the next of `lies`.

    A lie is raw bytes, "files" for a failure with open files, a number of packs that it claims to have done, or a record, which
    gets the number that the node waits for unless it has one of its own.
    """
    records = Records(socket.socket(fileno=socket_descriptor))
    records.send({"hello": HELLO})
    records.receive()
    records.send({"loaded": True, "number": 1})
    for lie in lies:
        records.receive()
        if isinstance(lie, bytes):
            records.socket.send(lie)
        elif isinstance(lie, int):
            Progress(progress).packs = lie
        elif lie == "files":
            opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(4)]
            records.send({"failure": {"kind": "trapped", "message": "with files"}, "number": 2}, opened)
        else:
            records.send({"number": 2, **lie})
    records.socket.recv(1)

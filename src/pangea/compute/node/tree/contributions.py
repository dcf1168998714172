"""What this machine has done for whom: a donor's account, kept over restarts, and bounded however many there were.

It is this node's own word, for its own people: what others believe of it is in their trust books.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pangea.compute.engine.files import write_file
from pangea.compute.model.ids import PeerId

#: Nodes told one by one. Beyond that, those that least was done for are told together.
NAMED_MAX = 256
#: What came since is lost when the power goes, or the process is killed.
SAVE_SECONDS = 10.0
_NAME_MAX = 80


@dataclass(slots=True, kw_only=True)
class Work:
    """Work that was done.

    Attributes:
        tasks: whose answers went up, and
        failed: attempts that ended without one, mostly by the machine's own fault.
        fuel: as signed.
        seconds: in sandboxes.
        bytes_in, bytes_out: of input, and of results.
    """

    tasks: int = 0
    failed: int = 0
    fuel: int = 0
    seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0

    def add(self, other: Work) -> None:
        """Add more of it."""
        for each in fields(Work):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(slots=True, kw_only=True)
class Contribution(Work):
    """Work for the jobs of one node's clients.

    Attributes:
        owner: that node.
        through: the parent that the latest came from; the owner itself, or a node in between.
        job: what the latest job is called.
        since, last: when it began, and when the latest task ended, in seconds since 1970.
    """

    owner: str
    through: str
    job: str
    since: float
    last: float


class Contributions:
    """One node's, on its event loop."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        """None yet, before `restore`; they are kept in `file`."""
        self._file, self._clock = file, clock
        self._rows: dict[str, Contribution] = {}
        self._rest, self._others = Work(), 0
        self._is_new = False

    def add(self, owner: PeerId, through: PeerId, job: str, work: Work) -> None:
        """A task has ended here, of the job of that name, of that owner's, which came through that parent."""
        now = self._clock()
        row = self._rows.setdefault(owner, Contribution(owner=owner, through="", job="", since=now, last=now))
        row.through, row.job, row.last = through, job[:_NAME_MAX], now
        row.add(work)
        if len(self._rows) > NAMED_MAX:
            least = min((each for each in self._rows.values() if each is not row), key=lambda each: (each.seconds, each.last))
            self._rest.add(self._rows.pop(least.owner))
            self._others += 1
        self._is_new = True

    def record(self) -> dict[str, Any]:
        """As JSON types: a row for each node in `worked_for`, the most seconds first; `rest`: `others`, together; `total`."""
        rows = sorted(self._rows.values(), key=lambda row: (-row.seconds, row.owner))
        total = Work()
        for each in (*rows, self._rest):
            total.add(each)
        worked_for = [asdict(row) for row in rows]
        return {"total": asdict(total), "worked_for": worked_for, "rest": asdict(self._rest), "others": self._others}

    def restore(self) -> bool:
        """Take up what the file says; False if that makes no sense, and it is put aside. Reads the disk."""
        try:
            text = self._file.read_text()
        except FileNotFoundError:
            return True
        except (OSError, ValueError):
            text = ""
        try:
            head, _, body = text.partition("\n")
            if int(head, 16) != zlib.crc32(body.encode()):
                raise ValueError("another checksum")
            told = json.loads(body)
            self._rows = {each["owner"]: Contribution(**each) for each in told["worked_for"]}
            self._rest, self._others = Work(**told["rest"]), int(told["others"])
        except (ValueError, KeyError, TypeError):
            with suppress(OSError):
                self._file.replace(self._file.with_suffix(".damaged"))
            return False
        return True

    def save(self) -> None:
        """Write down what is new. Writes to the disk.

        Raises:
            OSError: it can't be written.
        """
        if not self._is_new:
            return
        self._is_new = False
        body = json.dumps(self.record(), separators=(",", ":"))
        try:
            write_file(self._file, f"{zlib.crc32(body.encode()):08x}\n{body}".encode())
        except OSError:
            self._is_new = True
            raise

    async def keep(self) -> None:
        """Write down what is new, now and then, until cancelled; a full disk is waited out."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            with suppress(OSError):
                await asyncio.to_thread(self.save)

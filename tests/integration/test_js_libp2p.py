"""Discovery beside js-libp2p: each finds the other by mDNS, and its Kademlia speaks with ours. Takes Node.js and npm."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.network.discovery.host import DHT_PROTOCOL, HOUR_SECONDS, PROTOCOL, _key
from pangea.compute.network.discovery.mdns import SERVICE
from pangea.compute.network.discovery.service import DiscoverySettings
from pangea.compute.network.identity import Identity
from tests.deadlines import comes_true
from tests.peers import QUICK, peer

SOURCE = Path(__file__).parents[1] / "js"
WAIT = 120.0
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (shutil.which("node") and shutil.which("npm")), reason="Node.js and npm aren't here (apt-get install nodejs npm)"
    ),
]


@pytest.fixture(scope="module")
def js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script and the packages that it takes."""
    folder = tmp_path_factory.mktemp("js")
    for file in SOURCE.iterdir():
        shutil.copy(file, folder)
    command = ["npm", "install", "--no-fund", "--no-audit", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"js-libp2p can't be had from npm: {done.stderr[-300:]}")
    return folder


class Other:
    """A js-libp2p peer, and what it has told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.told: list[dict[str, Any]] = []
        self._process = process

    async def listen(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.told.append(json.loads(line))

    def of(self, **what: str) -> dict[str, Any]:
        """The last that it has told that has these values; empty if it hasn't."""
        return next((each for each in reversed(self.told) if what.items() <= each.items()), {})


@asynccontextmanager
async def other_peer(folder: Path) -> AsyncIterator[Other]:
    key = _key(int(time.time()) // HOUR_SECONDS).hex()
    words = ("node", "--import", "./polyfill.mjs", "peer.mjs", SERVICE.rstrip("."), DHT_PROTOCOL, key)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, cwd=folder, stdin=pipe, stdout=pipe)
    other = Other(process)
    listening = asyncio.create_task(other.listen())
    try:
        yield other
    finally:
        process.kill()
        await process.wait()
        await listening


def test_each_finds_the_other_on_the_local_network_and_in_the_dht(js: Path) -> None:
    async def scene() -> None:
        who = Identity.create()
        settings, limits = DiscoverySettings(mdns=True, dht=True), replace(QUICK, dht_seconds=1.0)
        async with peer("here", identity=who, settings=settings, limits=limits) as here, other_peer(js) as other:
            await comes_true(lambda: bool(other.of(discovered=who.peer_id)), seconds=WAIT)
            told = {f"{each}/p2p/{who.peer_id}".partition("/p2p/")[0] for each in other.of(discovered=who.peer_id)["addresses"]}
            assert told == {each.partition("/p2p/")[0] for each in here.addresses}, "every address of ours"
            # We dial it, of our own finding, by its TXT records without an SRV; then it hangs up, and dials us of its own.
            await comes_true(lambda: bool(other.of(connected=who.peer_id, direction="inbound")), seconds=WAIT)
            await comes_true(lambda: bool(other.of(connected=who.peer_id, direction="outbound")), seconds=WAIT)
            await comes_true(lambda: bool(other.of(asked=who.peer_id)), seconds=WAIT)
            asked = other.of(asked=who.peer_id)
            assert {str(DHT_PROTOCOL), str(PROTOCOL)} <= set(asked["protocols"])
            assert "/ipfs/kad/1.0.0" not in asked["protocols"], "nobody else's DHT"
            assert asked["answered"] == [who.peer_id], "our DHT has answered its question"
            await comes_true(lambda: here.figures().dht_table_size == 1, seconds=WAIT)
            await comes_true(lambda: bool(other.of(provided=who.peer_id)), seconds=WAIT)

    asyncio.run(scene())

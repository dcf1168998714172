"""What each extra is needed for: a node speaks to others without the libraries of discovery."""

from __future__ import annotations

import subprocess
import sys

import pytest

BLOCKED = ("libp2p", "trio", "multiaddr", "zeroconf", "fastecdsa", "coincurve")
PROGRAM = f"""
import sys

for name in {BLOCKED}:
    sys.modules[name] = None  # to import it is an ImportError
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROGRAM + program], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_a_node_and_its_links_need_nothing_of_discovery() -> None:
    done = run(
        "import pangea.compute.node.service.daemon\n"
        "from pangea.compute.network.identity import Identity\n"
        "from pangea.compute.network.identity import client_context, server_context\n"
        "me = Identity.create()\n"
        "contexts = client_context(me, want=me.peer_id), server_context(me, bool)\n"
        "print(all(context.verify_mode for context in contexts))\n"
    )
    assert (done.stdout.strip(), done.stderr) == ("True", "")


@pytest.mark.slow
def test_discovery_without_its_libraries_names_the_extra() -> None:
    done = run(
        "import asyncio\n"
        "from pangea.compute.network.discovery.records import Advertisement\n"
        "from pangea.compute.network.discovery.service import discover\n"
        "from pangea.compute.network.discovery.settings import DiscoverySettings\n"
        "from pangea.compute.network.identity import Identity\n"
        "async def main():\n"
        "    async with discover(Identity.create(), DiscoverySettings(host='127.0.0.1', port=0), Advertisement()):\n"
        "        print('found')\n"
        "asyncio.run(main())\n"
    )
    assert "pip install 'pangea-compute[discovery]'" in done.stderr
    assert done.stdout == ""

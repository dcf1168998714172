"""`--dashboard`: the live page beside a node or a devnet, in a process of its own that ends with them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from pangea.compute.dashboard.needs import check
from pangea.compute.engine.jail import die_with_parent

_STOP_SECONDS = 5.0


@contextmanager
def page_beside(address: str, listen: str) -> Iterator[None]:
    """Serve the page of the node at `address` for as long as the block lasts; where it is goes to stderr.

    The node may come up later: until then the page says that it isn't there.

    Raises:
        UnavailableError: what the page needs isn't installed.
        ConfigError: `listen` can't be listened on.
    """
    check()
    from pangea.compute.dashboard.listening import listen as listen_on

    listen_on(listen).socket.close()  # what can't be listened on is said before the node starts
    process = subprocess.Popen(
        [sys.executable, "-m", "pangea.compute.cli.main", "dashboard", "--node", address, "--listen", listen],
        stdin=subprocess.DEVNULL,
        stdout=2,  # stdout is the node's, or the devnet's
        start_new_session=True,  # Ctrl-C is this process's to act on
        preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509  # only calls the kernel
    )
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        if process.returncode is None:
            process.kill()
            process.wait()

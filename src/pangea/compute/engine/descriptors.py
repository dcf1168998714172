"""The three standard descriptors, which a daemon may have closed."""

from __future__ import annotations

import fcntl
import os

#: How each is held when it was closed: so that using it still fails as it would have.
_HELD_AS = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_RDONLY}


def hold_standard() -> None:
    """Take the number of each standard descriptor that is closed, for the life of the process; using it goes on failing.

    Else a socket or a file of ours would become "standard output", and whatever prints, here or in a child, would write into it.
    """
    for number, way in _HELD_AS.items():
        if not is_open(number):
            opened = os.open(os.devnull, way)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)


def is_open(number: int) -> bool:
    """Whether a descriptor is open."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def is_usable(number: int) -> bool:
    """Whether a standard descriptor is open for what it is for."""
    return is_open(number) and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != _HELD_AS[number]

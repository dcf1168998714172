"""Which file somebody may have meant who named one that isn't there."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from pangea.compute.model.limits import nearest

#: Of a larger folder so many files are looked at: an error shouldn't take a second.
_FILES_MAX = 2_000


def hint_of_missing(path: str | os.PathLike[str], otherwise: str) -> str:
    """What to say beside "there is no file PATH": the file beside it that is called most like it, or that its folder is missing.

    Args:
        path: what was named; relative ones are so to the current folder.
        otherwise: the hint if no name is like it, or the folder can't be read.
    """
    missing = Path(path)
    try:
        if not missing.parent.exists():
            return f"there is no folder {missing.parent}" + (f"; {otherwise}" if otherwise else "")
        with os.scandir(missing.parent) as entries:
            names = [entry.name for entry in islice(entries, _FILES_MAX) if entry.is_file()]
    except (OSError, ValueError):
        return otherwise
    near = nearest(missing.name, names)
    # Endings alone make any two short names alike.
    is_alike = near is not None and nearest(missing.stem, [Path(near).stem]) is not None
    return f"did you mean {str(missing.with_name(near or ''))!r}?" if is_alike else otherwise

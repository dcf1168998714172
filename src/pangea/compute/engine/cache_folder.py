"""How large a folder of compiled modules may become: what was used least recently makes room."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pangea.compute.model.units import GIB

#: Of one folder: some seventy modules of the size of the Python guest.
FOLDER_BYTES_MAX = 4 * GIB
_KINDS = (".code", ".json", ".seen")


def keep_within(folder: Path, bytes_max: int, *, keep: str) -> list[str]:
    """Delete modules that were used least recently until all together have at most so many bytes on disk.

    When one was used is its description's time of change. Whoever has it open keeps it; others compile it again.

    Args:
        folder: of compiled code and descriptions; other files stay and don't count.
        bytes_max: what its modules may have.
        keep: name, without its ending, of one that stays.

    Returns:
        Names, without their endings, of those that were deleted.
    """
    found: dict[str, tuple[float, int]] = {}
    for path in folder.iterdir():
        if path.suffix in _KINDS:
            with contextlib.suppress(FileNotFoundError):  # another process tidies up, too
                state = path.stat()
                changed, size = found.get(path.stem, (0.0, 0))
                found[path.stem] = max(changed, state.st_mtime), size + 512 * state.st_blocks
    total, deleted = sum(size for _, size in found.values()), []
    for name, (_, size) in sorted(found.items(), key=lambda item: (item[1][0], item[0])):
        if total <= bytes_max:
            break
        if name != keep:
            for kind in _KINDS:
                (folder / f"{name}{kind}").unlink(missing_ok=True)
            total -= size
            deleted.append(name)
    return deleted

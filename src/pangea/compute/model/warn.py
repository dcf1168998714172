"""Warnings that point where the user can do something about them: at the line that called us, not at one of ours."""

from __future__ import annotations

import sys
import warnings

_OURS = __name__.partition(".model.")[0]


def warn_caller(text: str, category: type[Warning]) -> None:
    """Warn at the innermost line outside this package; in a thread of our own, where no such line is, at our caller's."""
    level, frame = 2, sys._getframe(1)
    while frame is not None and _is_ours(str(frame.f_globals.get("__name__"))):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(text, category, stacklevel=level if frame is not None else 2)


def _is_ours(module: str) -> bool:
    return module == _OURS or module.startswith(f"{_OURS}.")

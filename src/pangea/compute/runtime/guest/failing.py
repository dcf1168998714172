"""The text of a failure, as the user should read it: their frames only, their file names and lines, their prints."""

from __future__ import annotations

import traceback

#: A guest's error text is cut to this many bytes: head and tail are kept.
ERROR_BYTES_MAX = 16_384
_FRAMES_MAX = 40
_OWN_FOLDER = "pangea/compute/"


def describe(error: BaseException, prints: str) -> bytes:
    """Format `error` as Python would, without the runtime's own frames, then `prints`, as UTF-8."""
    try:
        trace = traceback.TracebackException.from_exception(error, limit=-_FRAMES_MAX)
        _drop_own_frames(trace)
        text = "".join(trace.format())
    except BaseException as broken:  # an exception whose own text raises
        text = f"{type(error).__name__} (its text can't be shown: {type(broken).__name__})\n"
    if prints:
        text += f"\nprinted before the error:\n{prints}"
    return _shorten(text.encode("utf-8", "replace"))


def _drop_own_frames(trace: traceback.TracebackException | None) -> None:
    if trace is None:
        return
    own = [frame for frame in trace.stack if _OWN_FOLDER not in frame.filename]
    trace.stack = traceback.StackSummary.from_list(own)
    for cause in (trace.__cause__, trace.__context__, *(trace.exceptions or ())):
        _drop_own_frames(cause)


def _shorten(text: bytes) -> bytes:
    if len(text) <= ERROR_BYTES_MAX:
        return text
    half = ERROR_BYTES_MAX // 2
    return text[:half] + b"\n  ...\n" + text[-half:]

"""What a call raised, as its caller should read it: which call it was, with what arguments, without our frame around it."""

from __future__ import annotations

import re

from pangea.compute.client.calls.batches import Batch, Calls
from pangea.compute.data import tagged
from pangea.compute.data.errors import shown
from pangea.compute.model.errors import JobFailedError

#: The frame of `batches` that calls the function: its place, its line and the marks below it, alone or in a group's frame.
_OWN_FRAME = re.compile(
    r'^[ |]*File "batches\.py", line \d+, in call\n.*called_function\(\*arguments, \*\*keywords\).*\n(?:[ |]*[~^]+\n)?', re.M
)
_CALL_LENGTH_MAX = 200
_HINT = (
    "error.run_local() makes this call here, without the sandbox, so that a debugger reaches it"
    " (in a shell or notebook sys.last_value.run_local(), then pdb.pm() or %debug)"
)


def explain(error: JobFailedError, calls: Calls, batch: Batch) -> None:
    """Say in notes of `error` which call of `batch` failed, if one did, and how to look into it."""
    leave_out_own_frame(error)
    if error.chunk_index is None:
        return
    error.call_index = batch.first + error.chunk_index
    line = batch.data.splitlines(keepends=True)[error.chunk_index]
    call = _shown(calls, line)
    error.again = lambda: calls.made_here(line)
    error.add_note(f"in call {error.call_index:,} of {calls.name}: {call}")
    if "run_local" in error.hint:  # there is no job by name
        error.__notes__.remove(f"hint: {error.hint}")
        error.hint = _HINT
        error.add_note(f"hint: {error.hint}")


def leave_out_own_frame(error: JobFailedError) -> None:
    """Show of the traceback the frames of the caller's own functions, and of what these call."""
    text = _OWN_FRAME.sub("", error.traceback)
    notes = getattr(error, "__notes__", [])
    notes[:] = [note.replace(error.traceback.rstrip(), text.rstrip()) if error.traceback else note for note in notes]
    error.traceback = text


def _shown(calls: Calls, line: bytes) -> str:
    _place, _seed, arguments, keywords = tagged.loads(line, calls.classes.known)
    for where, value in calls.bound.items():
        (arguments if isinstance(where, int) else keywords)[where] = value
    given = [*map(shown, arguments), *(f"{name}={shown(value)}" for name, value in keywords.items())]
    text = f"{calls.name}({', '.join(given)})"
    return text if len(text) <= _CALL_LENGTH_MAX else f"{text[:_CALL_LENGTH_MAX]}..."

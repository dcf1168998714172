"""What a guest's own words, and Wasmtime's, mean: from text to failure."""

from __future__ import annotations

import re

from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import human_bytes

#: How the traceback of a group of exceptions begins, and where its own name is; those of what is in it are indented further.
_GROUP, _OF_GROUP = "  + Exception Group Traceback", re.compile(r"^  \| (\S.*)$", re.MULTILINE)
_OF_ERROR = re.compile(r"^(\S.*)$", re.MULTILINE)
#: What Wasmtime says of a module that is over the limits it was given.
_OVER_LIMITS = ("exceeds memory limits", "exceeds table limits", "resource limit exceeded")


def guest_failure(function: str, text: str, limits: Limits, fuel: int) -> Failure:
    """The failure of a call whose guest says `text` of it: a traceback, or what any language has to say."""
    last = _last_words(text.partition("\nprinted before the error:")[0])
    if last == "MemoryError" or last.startswith("MemoryError:"):
        message = f"{function} ran out of memory: the limit is {human_bytes(limits.memory)}"
        return Failure(kind=FailureKind.OUT_OF_MEMORY, message=message, limit="memory", traceback=text, fuel=fuel)
    message = f"{function} failed: {last[:500] or 'the guest gave no reason'}"
    return Failure(kind=FailureKind.GUEST_ERROR, message=message, traceback=text, fuel=fuel)


def _last_words(text: str) -> str:
    """Of a Python traceback the exception's own line, whatever its message and its notes have below; of other texts the last."""
    group, frame = text.rfind(_GROUP), text.rfind('\n  File "')
    own = _OF_GROUP if group > frame else _OF_ERROR
    if max(group, frame) >= 0 and (found := own.search(text, max(group, frame) + 1)):
        return found[1]
    return next((line for line in reversed(text.splitlines()) if line), "")


def not_instantiated(reason: str) -> Failure:
    """Only what Wasmtime itself says of the limits is the module's; anything else is the machine's: no memory is left for it."""
    if any(words in reason for words in _OVER_LIMITS):
        message = f"the module asks for more than its limits: {reason}"
        return Failure(kind=FailureKind.OUT_OF_MEMORY, message=message, limit="memory")
    return Failure(kind=FailureKind.HOST_MEMORY, message=f"the machine couldn't make a sandbox: {reason}")


def one_line(error: Exception) -> str:
    """Wasmtime's reason without its backtrace and addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = lines[lines.index("Caused by:") + 1 :] if "Caused by:" in lines else lines[:1]
    text = "; ".join(line.split(": ", 1)[1] if line[:1].isdigit() and ": " in line else line for line in causes)
    return text.removeprefix("wasm trap: ")[:400]

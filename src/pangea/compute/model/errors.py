"""Every error a user can meet, with a stable code, a cause, a hint and the exit code of the command line.

    PangeaError
    ├── ManifestError         a field of the manifest, or a keyword, is out of range          exit 2
    ├── JobDefinitionError    the job's functions can't be turned into a job                   exit 2
    ├── InputError            the input can't be read or cut                                   exit 2
    ├── BadModuleError        not a module this engine runs                                    exit 2
    ├── JobFailedError        a function of the job raised, trapped or returned the wrong type exit 1
    │   └── LimitExceededError    fuel, memory, time, stack or size ran out                    exit 5
    ├── JobCancelledError     the job was cancelled                                            exit 1
    ├── UnknownTaskError      no such task on this node                                        exit 2
    ├── UnknownJobError       no such job on this node, or not yours                           exit 2
    ├── NotDoneError          the job hasn't ended within the time given                       exit 1
    ├── QuotaError            the owner or the node has as much as it may have                 exit 5
    ├── UnverifiedError       a receipt is altered, forged, or wrong                           exit 4
    ├── ConfigError           a setting is unknown, malformed or out of range                  exit 2
    ├── OutputError           the result can't be written                                      exit 1
    ├── ResultError           the result isn't what it is asked to be read as                  exit 1
    ├── PictureError          there is no picture of this, or none of the kind asked for       exit 2
    ├── UnavailableError      the engine or the node can't be had here                         exit 3
    │   └── NoAdapterError        a shader has nothing to run on here                              exit 3
    └── PeerError             a peer says what makes no sense, or isn't welcome                exit 1

Messages are lower case, say what is wrong and where, with the figure; the hint says what to do. Expected ends of a task
are data (`model.outcome`); they become errors at one place, when a job's result is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any, ClassVar, Self

from pangea.compute.model.guest_types import builtin_of, new_of_both, remade

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_UNVERIFIED, EXIT_LIMIT, EXIT_SIGNAL = 0, 1, 2, 3, 4, 5, 128


class PangeaError(Exception):
    """Base of all errors of this package.

    Attributes:
        code: stable name of the kind, for programs.
        hint: what to do about it, or "".
        details: the figures of the message, for programs (JSON types only).
        report: of a job that failed on this machine what is known of the run (a `model.report.Report`), else None.
    """

    code: ClassVar[str] = "ERROR"
    exit_code: ClassVar[int] = EXIT_FAILED
    report: Any = None

    def __init__(self, message: str, *, hint: str = "", **details: Any) -> None:
        """Make an error; `message` is one line, lower case, without the text of its cause."""
        Exception.__init__(self, message)  # not that of a built-in type which this is, too: some ask for more than a message
        self.message = message
        self.hint = hint
        self.details = details
        if hint:
            self.add_note(f"hint: {hint}")

    def to_json(self) -> dict[str, Any]:
        """The error as the command line prints it under `--json`."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "details": self.details}


class ManifestError(PangeaError, ValueError):
    """A manifest field or a keyword of `submit_job` is unknown or out of range."""

    code = "BAD_MANIFEST"
    exit_code = EXIT_USAGE


class JobDefinitionError(PangeaError, ValueError):
    """The job's functions can't be turned into a job; names the variable and the line."""

    code = "BAD_JOB"
    exit_code = EXIT_USAGE


class JobDefinitionWarning(UserWarning):
    """A job may reach something by a way that can't be followed: by name, at run time."""


class InputError(PangeaError, ValueError):
    """The input can't be read, or can't be cut as asked."""

    code = "BAD_INPUT"
    exit_code = EXIT_USAGE


class BadModuleError(PangeaError, ValueError):
    """The bytes are not a WebAssembly module of guest ABI 1."""

    code = "BAD_MODULE"
    exit_code = EXIT_USAGE


class JobFailedError(PangeaError, RuntimeError):
    """A function of the job failed.

    What the guest raised is what can be caught: of a `ValueError` in the guest, or of a class that derives from it and is loaded
    here, the error is a `ValueError`, too, with the guest's traceback as a note.

    Attributes:
        traceback: the guest's own traceback and prints, or "".
        function: split, execute or merge (or init).
        chunk_index: index of the chunk over the whole job, or None outside execute.
        call_index: of `map` and the like, which call failed, from 0 over all of them; else None.
        again: of a call that this process has made: makes it again here. Else None.
    """

    code = "JOB_FAILED"
    exit_code = EXIT_FAILED
    #: Of a class that is a built-in one, too: the class itself.
    mixed_from: ClassVar[type[JobFailedError] | None] = None
    again: Callable[[], Any] | None = None

    def __new__(cls, *arguments: Any, traceback: str = "", **_: Any) -> Self:
        """Make one that is also of the built-in type that `traceback` ends with, or derives from."""
        builtin = builtin_of(traceback)
        if builtin is None or cls.mixed_from is not None:
            return super().__new__(cls, *arguments)
        made: Self = new_of_both(cls, builtin, *arguments)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is pickled."""
        state = {name: value for name, value in self.__dict__.items() if name != "again"}  # which is this process's own
        return remade, (self.mixed_from or type(self), self.message, self.traceback, state)

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        traceback: str = "",
        function: str = "",
        chunk_index: int | None = None,
        **details: Any,
    ) -> None:
        """Make an error about `function`, at `chunk_index` if it is execute."""
        super().__init__(message, hint=hint, function=function, chunk_index=chunk_index, **details)
        if traceback:
            self.__notes__: list[str] = [f"in the sandbox:\n{traceback.rstrip()}", *getattr(self, "__notes__", [])]
        self.traceback = traceback
        self.function = function
        self.chunk_index = chunk_index
        self.call_index: int | None = None

    def run_local(self) -> Any:
        """Make the call that failed in this process, without a sandbox: what it raises is raised as it is.

        So a debugger reaches it: in a notebook or a shell `sys.last_value.run_local()`, then `%debug` or `pdb.pm()`.

        Returns:
            What the function returned, if here it doesn't fail.

        Raises:
            UnavailableError: it is of no call of `map` and the like, or of another process's.
        """
        if self.again is None:
            hint = "job.run_local(data, index=error.chunk_index) executes one chunk of a job"
            raise UnavailableError("this process hasn't made a call that failed so", hint=hint)
        return self.again()


class LimitExceededError(JobFailedError):
    """A function of the job ran into a limit; `details` has the limit's name and figure."""

    code = "LIMIT_EXCEEDED"
    exit_code = EXIT_LIMIT


class JobCancelledError(PangeaError, RuntimeError, CancelledError):
    """The job was cancelled before it ended; a `concurrent.futures.CancelledError`, too."""

    code = "CANCELLED"


class UnknownTaskError(PangeaError, LookupError):
    """The node has no such task: it isn't cut yet, it is done and gone, or it never was here."""

    code = "UNKNOWN_TASK"
    exit_code = EXIT_USAGE


class UnknownJobError(PangeaError, LookupError):
    """The node has no such job, or it belongs to somebody else: who may not see it isn't told which."""

    code = "UNKNOWN_JOB"
    exit_code = EXIT_USAGE


class NotDoneError(PangeaError, TimeoutError):
    """The time to wait is over and the job goes on."""

    code = "NOT_DONE"


class QuotaError(PangeaError, RuntimeError):
    """A limit of the node was reached: jobs, bytes, fuel or calls of an owner, or room on its disk."""

    code = "QUOTA_EXCEEDED"
    exit_code = EXIT_LIMIT


class UnverifiedError(PangeaError, ValueError):
    """What was to be verified is altered, forged, or false."""

    code = "UNVERIFIED"
    exit_code = EXIT_UNVERIFIED


class ConfigError(PangeaError, ValueError):
    """A setting is unknown, malformed or out of range; names it and where it came from."""

    code = "BAD_CONFIG"
    exit_code = EXIT_USAGE


class OutputError(PangeaError, OSError):
    """The result can't be written where it was asked for."""

    code = "BAD_OUTPUT"


class PictureError(PangeaError, ValueError):
    """What was to be shown has no picture, or none of the kind asked for; says what it is and what can be done."""

    code = "NO_PICTURE"
    exit_code = EXIT_USAGE


class ResultError(PangeaError, ValueError):
    """The result can't be read as what is asked for; says what it seems to be instead."""

    code = "BAD_RESULT"


class PeerError(PangeaError, ValueError):
    """A peer says what makes no sense, asks what it may not, or isn't welcome."""

    code = "BAD_PEER"


class UnavailableError(PangeaError, RuntimeError):
    """The engine can't run here, or the node can't be reached."""

    code = "UNAVAILABLE"
    exit_code = EXIT_UNREACHABLE


class NoAdapterError(UnavailableError):
    """A job's execute is a shader, and there is no adapter to run it on; the hint names what to install."""

    code = "NO_ADAPTER"


def error_record(error: PangeaError) -> dict[str, Any]:
    """An error as JSON types, with the guest's own traceback."""
    traceback = error.traceback if isinstance(error, JobFailedError) else str(error.details.get("traceback", ""))
    return {**error.to_json(), "traceback": traceback}


def from_json(record: dict[str, Any]) -> PangeaError:
    """The error that `to_json` described, of the same class if this version knows its code.

    The record may be a stranger's: what of it is no part of an error is left out.
    """
    known = {kind.code: kind for kind in _kinds(PangeaError)}
    kind = known.get(str(record.get("code")), PangeaError)
    given = record.get("details")
    details = {name: value for name, value in given.items() if name not in _TAKEN} if isinstance(given, dict) else {}
    if issubclass(kind, JobFailedError):
        details |= {name: record[name] for name in _OF_JOBS if name in record}
        details = {name: value for name, value in details.items() if isinstance(value, _OF_JOBS.get(name, object))}
    error = kind(str(record.get("message", "")), hint=str(record.get("hint", "")), **details)
    if kind is PangeaError and record.get("code"):
        error.code = str(record["code"])  # type: ignore[misc]  # of a newer version: keep its name
    return error


#: Arguments of every error, which can't be details, too.
_TAKEN = ("self", "message", "hint")
#: What a job's failure has beside those, with its type.
_OF_JOBS: dict[str, Any] = {"traceback": str, "function": str, "chunk_index": int | None}


def _kinds(base: type[PangeaError]) -> list[type[PangeaError]]:
    own = [child for child in base.__subclasses__() if getattr(child, "mixed_from", None) is None]
    return [base, *(kind for child in own for kind in _kinds(child))]

"""The spans of whoever wants a job: of the call that runs it, of its submission, and of each call of a run on this machine."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pangea.compute.model.errors import ConfigError
from pangea.compute.model.trace import Trace
from pangea.compute.model.trace_context import SpanKind, SpanRecord, TraceContext, about_call
from pangea.compute.model.warn import warn_caller
from pangea.compute.network import telemetry

#: Of this process, once the environment has asked for it; None: it can't be had.
_own: list[telemetry.Telemetry | None] = []


@dataclass(frozen=True, slots=True)
class Traced:
    """A span that is open. `traceparent` tells others where it is; "" where nobody traces."""

    context: TraceContext | None = None
    _telemetry: telemetry.Telemetry | None = None

    @property
    def traceparent(self) -> str:
        """For whoever does what is to be below it."""
        return "" if self.context is None else str(self.context)

    def add_calls(self, trace: Trace, seconds: float) -> None:
        """Tell what a run that began `seconds` ago, and is over, has called."""
        if self.context is None or self._telemetry is None or not self.context.is_sampled:
            return
        began = time.time() - seconds
        for each in trace.spans:
            record = SpanRecord(
                name=f"pangea {each.function}",
                parent=self.context,
                began=began + each.began,
                ended=began + each.ended,
                attributes=about_call(each),
            )
            self._telemetry.emit(record)


@contextmanager
def span(name: str, job: str, kind: SpanKind = SpanKind.INTERNAL) -> Iterator[Traced]:
    """A span around what is done for a job, if this process traces: by itself, or because the environment asks for it."""
    found = _telemetry()
    if found is None:
        yield Traced()
        return
    with found.span(name, kind, {"pangea.job.name": job}) as context:
        yield Traced(context, found)


def _telemetry() -> telemetry.Telemetry | None:
    if (theirs := telemetry.application_s()) is not None:
        return theirs
    if not _own and telemetry.is_wanted(os.environ):
        try:
            _own.append(telemetry.telemetry("pangea-client"))
        except ConfigError as error:
            _own.append(None)
            warn_caller(f"no traces: {error.message} ({error.hint})", RuntimeWarning)
        else:
            atexit.register(close)
    return _own[0] if _own else None


def close() -> None:
    """Send what is left of this process's own spans; the next ones find the environment as it is then."""
    while _own:
        if (one := _own.pop()) is not None:
            one.close()

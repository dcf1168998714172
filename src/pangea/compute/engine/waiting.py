"""Wait for a task's end, but not for ever."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future

from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Outcome

#: Of each call, beside its time limit: starting a worker, queueing, copying.
_SPARE_SECONDS = 60.0


def outcome_of(future: Future[Outcome], limits: Limits, calls: int, what: str) -> Outcome:
    """How a task ends.

    Args:
        future: the task's.
        limits: of its job: the engine ends a call itself that takes longer.
        calls: how many go on before it and in it.
        what: the task, for the error.

    Raises:
        UnavailableError: the engine was closed, or it didn't answer.
    """
    seconds = (limits.time + _SPARE_SECONDS) * calls
    try:
        return future.result(seconds)
    except CancelledError as error:
        raise UnavailableError("the engine was closed") from error
    except TimeoutError as error:
        raise UnavailableError(f"the engine didn't answer on {what} within {seconds:,.0f} s") from error

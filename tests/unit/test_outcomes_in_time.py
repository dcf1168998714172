"""Waiting for a task's end, but not for ever."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from pangea.compute.engine import waiting
from pangea.compute.engine.waiting import outcome_of
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Finished, Outcome

END = Finished(results=b"", fuel=1, seconds=0.5)


def test_an_end_that_comes_is_given_and_one_that_doesn_t_is_an_error_that_says_of_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_SPARE_SECONDS", -0.99)
    future: Future[Outcome] = Future()
    with pytest.raises(UnavailableError, match="the engine didn't answer on job:7 within 0 s"):
        outcome_of(future, Limits(time=1), 3, "job:7")
    future.set_result(END)
    assert outcome_of(future, Limits(time=1), 3, "job:7") is END


def test_an_engine_that_is_closed_meanwhile_is_one_in_words() -> None:
    future: Future[Outcome] = Future()
    assert future.cancel()
    with pytest.raises(UnavailableError, match="the engine was closed"):
        outcome_of(future, Limits(), 1, "job:7")

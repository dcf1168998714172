"""Jobs with a check of their own, among strangers and liars: one execution a task, as sure as if all were executed again."""

from __future__ import annotations

from typing import Any

from pangea.compute.simulation.run import run
from pangea.compute.simulation.scenario import Scenario

JOB: dict[str, Any] = {"seed": 3, "nodes": 12, "chunks": 400, "chunk_seconds": 0.5, "owner_cores": 2, "check_share": 0.02}


def test_strangers_answers_that_pass_cost_one_execution_and_leave_no_doubt() -> None:
    outcome = run(Scenario(**JOB))
    assert (outcome.wrong_accepted, outcome.confidence) == (0, 1.0)
    assert outcome.executions_per_task <= 1.05
    assert outcome.checks > 100


def test_liars_are_found_by_what_the_check_refuses_and_nobody_else_is() -> None:
    outcome = run(Scenario(**JOB, malicious=0.25, liars=("clique", "random")))
    assert (outcome.wrong_accepted, outcome.confidence, outcome.banned_innocent) == (0, 1.0, 0)
    assert outcome.banned_guilty == outcome.guilty > 0

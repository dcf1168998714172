"""Who commits to answers and never shows them holds a job up for a moment only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pangea.compute.model.options import VerificationMode
from pangea.compute.simulation.run import run
from pangea.compute.simulation.scenario import Scenario

HONEST = Scenario(nodes=9, chunks=48, chunk_seconds=1.0, owner_cores=2, verification=VerificationMode.REDUNDANCY, redundancy=2)


@pytest.mark.parametrize("seed", range(4))
def test_a_job_with_one_that_never_shows_takes_at_most_one_and_a_half_times_as_long(seed: int) -> None:
    honest = replace(HONEST, seed=seed)
    without = run(honest).makespan_seconds
    assert run(replace(honest, malicious=0.125, liars=("secretive",))).makespan_seconds <= 1.5 * without

"""Random expressions of NumPy give here and in the sandbox the same types, shapes, bits, errors and warnings."""

from __future__ import annotations

import json

import pytest

from pangea.compute import Job, submit_job
from tests.examples import long
from tests.numpy_expressions import expressions, outcome

pytestmark = pytest.mark.filterwarnings("ignore:.*calls eval")


def execute(chunk: bytes) -> bytes:
    return json.dumps([outcome(text) for text in json.loads(chunk)]).encode()


@pytest.mark.parametrize("seed", [1, *long(2)])
def test_random_expressions_of_numpy_give_the_same_in_the_sandbox(seed: int) -> None:
    texts = expressions(seed, 400)
    here = [outcome(text) for text in texts]
    there = json.loads(submit_job(Job.from_functions(execute), json.dumps(texts).encode()))
    assert sum(len(each) > 1 for each in here) > 200, "most of them have a value"
    assert [each for each in zip(texts, here, there, strict=True) if each[1] != each[2]] == []

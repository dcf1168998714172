"""Calls of all of NumPy's public parts give in the sandbox what they give here: values, types, texts, warnings, errors."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from pangea.compute import Job, submit_job
from tests.numpy_calls import calls, outcome

pytestmark = pytest.mark.filterwarnings("ignore:.*calls (eval|exec)")

_NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?")


def execute(chunk: bytes) -> bytes:
    return json.dumps([outcome(text) for text in json.loads(chunk)]).encode()


def test_calls_of_numpy_give_the_same_in_the_sandbox() -> None:
    texts = calls()
    here = json.loads(json.dumps([outcome(text.removeprefix("~ ")) for text in texts]))
    there = json.loads(submit_job(Job.from_functions(execute), json.dumps([text.removeprefix("~ ") for text in texts]).encode()))
    assert len(texts) > 1000
    assert [each for each in zip(texts, here, there, strict=True) if not _same(*each)] == []


def _same(text: str, one: Any, two: Any) -> bool:
    """Equal, but for the last digits where the call's line begins with a tilde: there numbers are compared as they are shown."""
    return bool(one == two or (text.startswith("~") and _near(_shown(one), _shown(two))))


def _shown(made: Any) -> Any:
    """An outcome without its bytes."""
    if isinstance(made, list):
        return [_shown(each) for each in made if not (isinstance(each, str) and re.fullmatch("([0-9a-f]{8})+", each))]
    return made


def _near(one: Any, two: Any) -> bool:
    one, two = json.dumps(one), json.dumps(two)
    if [_squeezed(each) for each in _NUMBER.split(one)] != [_squeezed(each) for each in _NUMBER.split(two)]:
        return False
    left, right = (np.array(_NUMBER.findall(each), float) for each in (one, two))
    return bool(np.allclose(left, right, rtol=1e-4, atol=1e-6))


def _squeezed(text: str) -> str:
    return re.sub(r"\s+|\\n", "", text)

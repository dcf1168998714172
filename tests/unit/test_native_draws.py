"""A native run draws as the guest does, and nobody else notices: not other threads, not what comes later, not on failure."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from os import urandom as taken_urandom
from random import getrandbits as taken_getrandbits
from random import random as taken_random

import numpy as np
import pytest
from numpy.random import normal as taken_normal

from pangea.compute import Job
from pangea.compute.client.definition import native_draws
from pangea.compute.client.definition.native_draws import native_run, seeded_call

#: The function that `numpy.random` has, and yet another object.
taken_method = getattr(np.random.rand, "__self__").rand  # noqa: B009  # NumPy's types don't say that it is there

#: All that a function may draw from; some state is kept in `gauss`.
DRAWS: dict[str, Callable[[], object]] = {
    "os.urandom": lambda: os.urandom(8),
    "secrets": lambda: secrets.token_hex(8),
    "uuid4": uuid.uuid4,
    "random": lambda: random.random(),  # noqa: PLW0108  # looked up when it is drawn
    "randint": lambda: random.randint(0, 10**12),
    "shuffle": lambda: random.sample(range(1000), 20),
    "gauss": lambda: (random.gauss(), random.gauss()),
    "choices": lambda: random.choices(range(10**9), k=3),
    "Random()": lambda: random.Random().random(),
    "SystemRandom()": lambda: random.SystemRandom().random(),
    "seed()": lambda: (random.seed(), random.random()),
    "taken random": lambda: taken_random(),  # noqa: PLW0108  # likewise
    "taken getrandbits": lambda: taken_getrandbits(60),
    "taken urandom": lambda: taken_urandom(8),
    "numpy.random": lambda: np.random.rand(2).tolist(),
    "numpy's normal": lambda: (np.random.standard_normal(), np.random.standard_normal()),
    "numpy's sample": lambda: (np.random.sample(), np.random.ranf()),
    "numpy's seed()": lambda: (np.random.seed(), np.random.rand()),
    "default_rng()": lambda: np.random.default_rng().random(),
    "RandomState()": lambda: np.random.RandomState().rand(),
    "taken normal": lambda: taken_normal(),  # noqa: PLW0108  # likewise
    "taken of the generator": lambda: taken_method(),  # noqa: PLW0108  # likewise
}


def draw() -> None:
    """Its globals are this module's: what the draws above are taken from."""


def seeded(name: str, data: bytes = b"x") -> object:
    with native_run([draw]), seeded_call("execute", data):
        return DRAWS[name]()


@pytest.mark.parametrize("name", DRAWS)
def test_a_call_draws_what_its_input_says(name: str) -> None:
    assert seeded(name) == seeded(name) != seeded(name, b"y")


@pytest.mark.parametrize("name", DRAWS)
def test_all_that_isn_t_in_a_call_draws_as_ever(name: str) -> None:
    before = random.getstate()
    with native_run([draw]):
        with seeded_call("execute", b"x"):
            inside = DRAWS[name]()
            others: list[object] = []
            thread = threading.Thread(target=lambda: others.append(DRAWS[name]()))
            thread.start()
            thread.join()
        between = DRAWS[name]()
    after = DRAWS[name]()
    assert len({repr(each) for each in (inside, others[0], between, after)}) == 4
    random.setstate(before)


def test_the_state_of_random_is_as_it_was_and_goes_on_where_it_was() -> None:
    random.seed(5)
    expected = [random.random() for _ in range(3)] + [random.gauss() for _ in range(3)]
    random.seed(5)
    drawn = [random.random()]
    with native_run([draw]), seeded_call("execute", b"x"):
        random.seed(1)
        random.random()
        random.gauss()
        random.setstate(random.getstate())
    drawn += [random.random() for _ in range(2)] + [random.gauss()]
    with native_run([draw]), seeded_call("execute", b"x"):
        random.gauss()
    assert drawn + [random.gauss() for _ in range(2)] == expected


def test_the_state_of_numpy_is_as_it_was_and_goes_on_where_it_was() -> None:
    def drawn() -> list[float]:
        return [np.random.rand(), np.random.standard_normal()]

    np.random.seed(5)
    expected = [*drawn(), *drawn()]
    np.random.seed(5)
    got = drawn()
    with native_run([draw]), seeded_call("execute", b"x"):
        np.random.seed(1)
        np.random.standard_normal()
        np.random.set_state(np.random.get_state())
    assert got + drawn() == expected


def test_numpy_first_imported_in_a_call_takes_nothing_of_it() -> None:
    script = """
import os, sys
from pangea.compute.client.definition.native_draws import native_run, seeded_call
def draw(first):
    with native_run(), seeded_call("execute", b"x"):
        if first:
            os.urandom(4)
        import numpy.random
        return os.urandom(4), numpy.random.rand(), numpy.random.default_rng().random()
assert "numpy.random" not in sys.modules
found = [draw(True), draw(True)]
assert found[0] == found[1] and draw(False) != found[0], found
import numpy.random
assert numpy.random.rand.__self__ is numpy.random.mtrand._rand and sys.meta_path[0].__class__.__name__ != "ArrayDraws"
assert numpy.random.rand() != found[0][1] and numpy.random.rand() != numpy.random.rand()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_everything_is_put_back_after_the_last_of_runs_that_overlap() -> None:
    def places() -> list[object]:
        own = globals()
        return [
            os.urandom,
            random._urandom,  # type: ignore[attr-defined]
            random.Random.seed,
            type(random._inst),
            *(vars(random)[name] for name in ("random", "seed", "gauss", "getrandbits", "randint")),
            *(own[name] for name in ("taken_random", "taken_getrandbits", "taken_urandom", "taken_normal")),
            *(vars(np.random)[name] for name in ("seed", "ranf", "rand", "normal")),
        ]

    before = places()
    first, second = native_run([draw]), native_run([draw])
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with seeded_call("execute", b"x"):
        one = taken_random()
    with seeded_call("execute", b"x"):
        assert taken_random() == one, "the second run is still under way"
    second.__exit__(None, None, None)
    assert all(now is then for now, then in zip(places(), before, strict=True))


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, ValueError])
def test_a_function_that_raises_leaves_nothing_behind(end: type[BaseException]) -> None:
    def execute(chunk: bytes) -> bytes:
        raise end

    with pytest.raises(end):
        Job.from_functions(execute).run_local(b"x")
    assert (os.urandom, type(random._inst)) == (native_draws._system, random.Random)
    assert native_draws._call.get() is None


def test_what_was_taken_during_a_run_works_for_good() -> None:
    with native_run([draw]):
        kept = random.random, random.getrandbits, random.seed, os.urandom
    assert (kept[0]() != kept[0](), kept[1](60) != kept[1](60), len(kept[3](8))) == (True, True, 8)


def test_a_process_forked_in_the_middle_of_it_can_run_one_too() -> None:
    script = """
import os, threading
from pangea.compute.client.definition import native_draws
native_draws._switch._lock.acquire()  # as another thread may have it
child = os.fork()
if child == 0:
    with native_draws.native_run(), native_draws.seeded_call("execute", b"x"):
        os._exit(0 if os.urandom(4) != native_draws._system(4) else 1)
print("the child ended with", os.waitpid(child, 0)[1])
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert ended.stdout == "the child ended with 0\n", ended.stderr

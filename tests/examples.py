"""How many examples Hypothesis draws: all that a test asks for with `make test-all`, a part of them in the default tests."""

from hypothesis import settings

#: In the default tests, where a test doesn't say; they are the same each time, so more of them would be no search.
EXAMPLES = 30
_PART, _LEAST = 4, 10


def share_of(number: int) -> int:
    """How many of `number` examples this run draws."""
    return number if settings().max_examples > EXAMPLES else max(number // _PART, _LEAST)

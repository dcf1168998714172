"""Receipts altered by the thousand, at random: none passes and says something else."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.verification.receipt_file import dumps, loads
from tests.unit.receipts_made import (
    Fate,
    fate_of,
    found,
    is_accepted,
    receipt_of_words,
)


@pytest.mark.parametrize("count", [300, pytest.param(60_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_no_file_with_bytes_altered_is_accepted(count: int) -> None:
    data, rng = dumps(receipt_of_words()), random.Random(20)
    assert found(loads(data)) == []
    for number in range(count):
        forged = bytearray(data)
        place, other = rng.randrange(len(data)), rng.randrange(len(data))
        match number % 5:
            case 0:
                forged[place] ^= 1 << rng.randrange(8)
            case 1:
                del forged[place : place + rng.randrange(1, 200)]
            case 2:
                forged[place:place] = data[other : other + rng.randrange(1, 200)]
            case 3:
                forged[place : place + 8], forged[other : other + 8] = data[other : other + 8], data[place : place + 8]
            case 4:
                for _ in range(rng.randrange(1, 6)):
                    forged[rng.randrange(len(forged))] = rng.choice(b"0123456789abcdef")
        assert not is_accepted(bytes(forged)), forged


@pytest.mark.parametrize("count", [200, pytest.param(40_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_no_receipt_with_a_field_altered_is_accepted(count: int) -> None:
    content, rng, readable = json.loads(dumps(receipt_of_words())), random.Random(19), 0
    places = [(holder, key) for holder, key in _places(content) if isinstance(holder[key], int | float | str)]
    places = [(holder, key) for holder, key in places if key != "path"]  # nobody signs it
    for _ in range(count):
        holder, key = rng.choice(places)
        before = holder[key]
        holder[key] = _slightly_else(before, rng)
        fate = fate_of(json.dumps(content).encode())
        assert fate in (Fate.UNREADABLE, Fate.REFUSED), (key, before, holder[key])
        readable += fate is Fate.REFUSED
        holder[key] = before
    assert readable > count // 2, "most must come as far as the signatures"


def _slightly_else(value: float | str, rng: random.Random) -> float | str:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        at = rng.randrange(len(value) + 1)
        return value[:at] + rng.choice([char for char in "0123456789abcdef" if value[at : at + 1] != char]) + value[at + 1 :]
    return value + rng.choice((-1, 1, 1_000)) if isinstance(value, int) else value / 2


figures = st.integers(0, 100) | st.integers(0, 1 << 63)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
values = figures | digests | st.text() | st.none() | st.booleans() | st.floats() | st.lists(st.integers())


@given(st.data())
def test_no_field_can_be_exchanged(data: st.DataObject) -> None:
    content = json.loads(dumps(receipt_of_words()))
    places = [*_places(content)]
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(places))
        holder[key] = data.draw(values | st.sampled_from([other[name] for other, name in places]))
        places = [*_places(content)]
        if not places:
            break
    try:
        forged = json.dumps(content).encode()
    except (ValueError, RecursionError):  # a tree that contains itself is no file
        return
    assert not is_accepted(forged) or loads(forged) == replace(receipt_of_words(), module=None)


def _places(content: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    if depth > 12:
        return []
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [place for key, value in items for place in [(content, key), *_places(value, depth + 1)]]

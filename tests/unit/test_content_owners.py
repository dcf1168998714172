"""A hash is a name, not a right: content that one has brought isn't there for another that names its hash."""

from __future__ import annotations

import pytest

from pangea.compute.model.errors import InputError
from tests.unit.test_contents import LARGE, NAME, A, B, Holders, named, play


def test_what_is_one_s_is_not_there_for_another_that_names_its_hash() -> None:
    async def scene() -> None:
        on, data = Holders(b=LARGE), b"private"
        on.contents.put("job", named(data), data)
        on.contents.put((A, "job"), NAME, LARGE)
        on.contents.hear((B, "job"), named(data), len(data), B)
        for owner in (B, "another job"):
            assert on.contents.at_hand(owner, named(data)) is None
        with pytest.raises(InputError, match="something else"):
            await on.contents.whole(B, named(data))  # who named it has to give it
        for owner in (B, "job"):
            assert not on.contents.has(owner, NAME)
            with pytest.raises(InputError, match="never named"):
                await on.contents.whole(owner, NAME)
        on.contents.hear((B, "job"), NAME, len(LARGE), B)
        assert bytes(await on.contents.whole(B, NAME)) == LARGE

    play(scene)

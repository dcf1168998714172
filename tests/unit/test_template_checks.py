"""Options of ready jobs that are none."""

from typing import Any

import numpy as np
import pytest

from pangea.compute.errors import ManifestError
from pangea.compute.templates.checks import whole


@pytest.mark.parametrize("value", [np.ones(5), True, 1.5, "2", None, 11, -1])
def test_what_is_no_integer_in_the_range_is_a_typed_error(value: Any) -> None:
    with pytest.raises(ManifestError, match="an integer between 0 and 10"):
        whole("target", value, 0, 10)


@pytest.mark.parametrize("value", [3, np.int64(3), np.array(3)])
def test_integers_of_any_kind_are_taken(value: Any) -> None:
    assert whole("target", value, 0, 10) == 3

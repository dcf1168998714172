"""What tests wait with."""

from __future__ import annotations

import signal

import pytest

from tests.conftest import pytest_runtest_makereport


def test_no_time_limit_strikes_while_a_report_is_made() -> None:
    before, _ = signal.setitimer(signal.ITIMER_REAL, 30.0)
    try:
        making = pytest_runtest_makereport()
        next(making)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        with pytest.raises(StopIteration):
            next(making)
        assert 0.0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 30.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, before)

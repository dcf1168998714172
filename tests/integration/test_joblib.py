"""joblib's loops in the sandbox."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

import pytest

from pangea.compute.model.errors import InputError, JobDefinitionError


@pytest.fixture(scope="module")
def joblib() -> Any:
    """joblib, with the backend registered."""
    if importlib.util.find_spec("joblib") is None:
        pytest.skip("joblib isn't installed: pip install joblib")
    from pangea.compute.client.calls.joblib_backend import register

    register()
    return importlib.import_module("joblib")


def power(base: int, exponent: int = 2) -> int:
    return int(base**exponent)


def platform() -> str:
    return sys.platform


def fail(number: int) -> float:
    return 1 / (number - 3)


@pytest.mark.parametrize("keywords", [{}, {"n_jobs": 2}, {"n_jobs": -1}, {"batch_size": 7}, {"pre_dispatch": 3}])
def test_results_are_joblib_s_own(joblib: Any, keywords: dict[str, Any]) -> None:
    calls = [joblib.delayed(power)(number, exponent=3) for number in range(30)]
    with joblib.parallel_config(backend="pangea"):
        assert joblib.Parallel(**keywords)(calls) == joblib.Parallel(n_jobs=1, backend="sequential")(calls)


@pytest.mark.filterwarnings("ignore:.*sys.platform")  # it tells of the sandbox: that is the point here
@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_no_call_is_made_in_this_process(joblib: Any, n_jobs: int | None) -> None:
    with joblib.parallel_config(backend="pangea"):
        [found] = joblib.Parallel(n_jobs=n_jobs)([joblib.delayed(platform)()])
    assert found != sys.platform


def test_functions_may_differ_in_a_batch(joblib: Any) -> None:
    calls = [joblib.delayed(power)(2), joblib.delayed(abs)(-5), joblib.delayed(abs)(-6), joblib.delayed(power)(3)]
    with joblib.parallel_config(backend="pangea"):
        assert joblib.Parallel(batch_size=4)(calls) == [4, 5, 6, 9]


@pytest.mark.parametrize("kind", ["generator", "generator_unordered"])
def test_results_may_come_one_by_one(joblib: Any, kind: str) -> None:
    with joblib.parallel_config(backend="pangea"):
        found = joblib.Parallel(n_jobs=2, return_as=kind)(joblib.delayed(power)(number) for number in range(20))
        assert sorted(found) == [number**2 for number in range(20)]


def test_what_a_call_raises_is_raised(joblib: Any) -> None:
    with joblib.parallel_config(backend="pangea"), pytest.raises(ZeroDivisionError):
        joblib.Parallel(n_jobs=2)(joblib.delayed(fail)(number) for number in range(6))


def test_what_can_t_travel_says_why(joblib: Any) -> None:
    with joblib.parallel_config(backend="pangea"):
        with pytest.raises(InputError, match="object"):
            joblib.Parallel()([joblib.delayed(power)(object())])
        import sklearn.linear_model

        with pytest.raises((JobDefinitionError, InputError), match=r"sklearn|LinearRegression"):
            joblib.Parallel()([joblib.delayed(sklearn.linear_model.LinearRegression().fit)([[0.0]], [1.0])])

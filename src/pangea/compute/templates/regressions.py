"""Linear and logistic regression, one job a round; what a round adds up is solved here, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.submit import submit_job
from pangea.compute.data.exact import quotient
from pangea.compute.model.errors import InputError, ManifestError
from pangea.compute.model.report import Report
from pangea.compute.templates.checks import again, columns, number, whole
from pangea.compute.templates.least_squares import fit, quality
from pangea.compute.templates.rounds import Columns, column_sums, logistic_round, product_sums
from pangea.compute.templates.solving import Matrix, SingularError, inverse_diagonal, pairs_to_matrix, solve

_ROUNDS_MAX = 1_000
_PENALTY_MAX = 1e30
#: A step that promises less than this share of the loss is the last one.
_ENOUGH = 1e-14
#: A step is halved this often at most, before it is taken for what it is.
_HALVINGS_MAX = 30


#: The columns' names, of a table, or their numbers; the target's last.
_Resolved = tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A fitted line: `intercept + sum(coefficient * feature)`.

    Attributes:
        coefficients: one for each feature, in the target's unit by the feature's.
        intercept: in the target's unit.
        errors: standard errors of the coefficients (NaN when there are no more rows than unknowns, or with a penalty).
            Source: sqrt(s^2 diag(inverse(X'X))), s^2 = squared residuals / (n - unknowns); T. Hastie et al., The Elements of
            Statistical Learning, 2009, 3.2.
        r2: share of the target's variance that the line explains.
        rows: how many there were.
        features: the columns' names, of a table.
        reports: of the rounds' jobs.
    """

    coefficients: tuple[float, ...]
    intercept: float
    errors: tuple[float, ...]
    r2: float
    rows: int
    features: tuple[str, ...] = ()
    reports: tuple[Report, ...] = field(repr=False, default=())

    def predict(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """The line's value for each row of features."""
        return [self.intercept + math.fsum(map(float.__mul__, self.coefficients, map(float, row))) for row in rows]


@dataclass(frozen=True, slots=True)
class LogisticModel:
    """A fitted chance: `1 / (1 + exp(-(intercept + sum(coefficient * feature))))`.

    Attributes:
        coefficients: one for each feature, in log-odds by the feature's unit.
        intercept: log-odds.
        errors: standard errors of the coefficients, from the Hessian; with a penalty they are those of the penalised loss.
        loss: the negative log-likelihood, without the penalty.
        rows: how many there were.
        rounds: of Newton's method.
        has_converged: whether the last step was too small to matter.
        features: the columns' names, of a table.
        reports: of the rounds' jobs.
    """

    coefficients: tuple[float, ...]
    intercept: float
    errors: tuple[float, ...]
    loss: float
    rows: int
    rounds: int
    has_converged: bool
    features: tuple[str, ...] = ()
    reports: tuple[Report, ...] = field(repr=False, default=())

    def predict(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """The chance of 1 for each row of features."""
        scores = (self.intercept + math.fsum(map(float.__mul__, self.coefficients, map(float, row))) for row in rows)
        return [1.0 / (1.0 + math.exp(-score)) if score > -700 else math.exp(score) for score in scores]


def linear_regression(
    data: Any, target: str | int = -1, *, features: Sequence[str] | None = None, l2: float = 0.0, **submit_options: Any
) -> LinearModel:
    """Fit a line by least squares: one round for the means, one for the products about them.

    Args:
        data: an array, (n, d + 1), or a table; anything `submit_job` takes that can be read several times.
        target: the column that is to be told from the others: its name, for a table, or its number.
        features: names of the columns to tell it from, for a table; None for all others.
        l2: penalty on the squares of the coefficients (not of the intercept): ridge regression.
        submit_options: keywords of `submit_job`, for both rounds.

    Returns:
        The model.

    Raises:
        ManifestError: an option is out of range.
        InputError: there is one row or none, or a feature is a combination of the others (and `l2` is 0).
        JobFailedError: a number is missing, NaN or infinite.
    """
    penalty = number("l2", l2, 0.0, _PENALTY_MAX)
    first, names, means = _first_round(data, target, features, submit_options)
    second = submit_job(product_sums(means, names), data, **submit_options)
    found = second.as_json()
    try:
        line = fit(found["sums"], means, penalty)
    except SingularError as error:
        raise _combination(tuple(map(str, names)), error.index) from error
    r2, errors = quality(line, found["count"], penalty)
    reports = (first.report, second.report)
    return LinearModel(line.coefficients, line.intercept, errors, r2, found["count"], _shown(names), reports)


def logistic_regression(
    data: Any,
    target: str | int = -1,
    *,
    features: Sequence[str] | None = None,
    l2: float = 0.0,
    rounds: int = 50,
    **submit_options: Any,
) -> LogisticModel:
    """Fit the chance that the target is 1, by maximum likelihood: one round for the means, one for each step of Newton's method.

    Args:
        data: as for `linear_regression`.
        target: the column that is 0 or 1 (or a boolean): its name, for a table, or its number.
        features: names of the columns to tell it from, for a table; None for all others.
        l2: penalty on half the squares of the coefficients (not of the intercept); scikit-learn's C is its inverse.
        rounds: at most.
        submit_options: keywords of `submit_job`, for every round.

    Returns:
        The model. Look at `has_converged`.
        Source: C. M. Bishop, Pattern Recognition and Machine Learning, 2006, 4.3.3 (iterative reweighted least squares).

    Raises:
        ManifestError: an option is out of range.
        InputError: there is one row or none, a feature is a combination of the others, or the features tell the two apart
            without fail: then no coefficients are the best.
        JobFailedError: a number is missing, NaN or infinite, or a target is neither 0 nor 1.
    """
    penalty = number("l2", l2, 0.0, _PENALTY_MAX)
    whole("rounds", rounds, 1, _ROUNDS_MAX)
    first, names, means = _first_round(data, target, features, submit_options)
    return _Newton(means[:-1], names, penalty, [first.report]).fit(data, rounds, submit_options)


class _Newton:
    """Newton's method; the features are taken about their means, so that the intercept is nearly independent of them."""

    def __init__(self, means: list[float], names: _Resolved, penalty: float, reports: list[Report]) -> None:
        self._means, self._names, self._penalty, self._reports = means, names, penalty, reports
        self._count = 0

    def fit(self, data: Any, rounds: int, submit_options: dict[str, Any]) -> LogisticModel:
        weights = [0.0] * (1 + len(self._means))
        step = list(weights)
        best, halvings = math.inf, 0
        has_converged = False
        for done in range(1, rounds + 1):
            loss, gradient, hessian = self._round(weights, data, submit_options)
            if not self._penalty and loss < math.log(2):  # then no point is on the wrong side, and farther would always be better
                raise InputError(
                    "the features tell 0 from 1 without fail, so no coefficients are the best",
                    hint="give l2=1.0, or another penalty above 0",
                )
            total = loss + self._penalty * math.fsum(weight * weight for weight in weights[1:]) / 2
            if total > best * (1 + _ENOUGH) and halvings < _HALVINGS_MAX:  # too far: half as far
                step, halvings = [part / 2 for part in step], halvings + 1
                weights = [weight - part for weight, part in zip(weights, step, strict=True)]
                continue
            best, halvings = total, 0
            step = self._step(gradient, hessian)
            promise = math.fsum(part * slope for part, slope in zip(step, gradient, strict=True))
            has_converged = abs(promise) <= _ENOUGH * max(total, _ENOUGH)
            if done == rounds and not has_converged:
                break
            weights = [weight + part for weight, part in zip(weights, step, strict=True)]
            if has_converged:  # the last step is worth eight digits, and costs no round
                break
        return self._model(weights, loss, hessian, done, has_converged)

    def _round(self, weights: list[float], data: Any, submit_options: dict[str, Any]) -> tuple[float, list[float], Matrix]:
        """Loss, downhill gradient and Hessian, with the penalty."""
        result = submit_job(logistic_round(weights, self._means, self._names), data, **submit_options)
        self._reports.append(result.report)
        found = result.as_json()
        self._count = found["count"]
        loss, *rest = (quotient(parts, 1) for parts in found["sums"])
        size = len(weights)
        penalties = [0.0, *([self._penalty] * (size - 1))]
        gradient = [-slope - p * weight for slope, p, weight in zip(rest[:size], penalties, weights, strict=True)]
        hessian = pairs_to_matrix(rest[size:], size)
        for index, penalty in enumerate(penalties):
            hessian[index][index] += penalty
        return loss, gradient, hessian

    def _step(self, gradient: list[float], hessian: Matrix) -> list[float]:
        try:
            return solve(hessian, gradient)
        except SingularError as error:
            raise _combination(tuple(map(str, self._names)), error.index - 1) from error

    def _model(self, weights: list[float], loss: float, hessian: Matrix, rounds: int, has_converged: bool) -> LogisticModel:
        intercept = weights[0] - math.fsum(weight * mean for weight, mean in zip(weights[1:], self._means, strict=True))
        errors = tuple(math.sqrt(max(each, 0.0)) for each in inverse_diagonal(hessian)[1:])
        shown, reports = _shown(self._names), tuple(self._reports)
        return LogisticModel(tuple(weights[1:]), intercept, errors, loss, self._count, rounds, has_converged, shown, reports)


def _first_round(data: Any, target: Any, features: Any, submit_options: dict[str, Any]) -> tuple[Result, _Resolved, list[float]]:
    """The sums of the columns; the columns' names or numbers, the target's last; their means, in that order."""
    again(data)
    names = _names(target, features)
    result = submit_job(column_sums(names), data, **submit_options)
    found = result.as_json()
    count, width = found["count"], len(found["sums"])
    if count < 2 or width < 2:
        raise InputError(f"there are {count} rows of {width} columns: a fit needs two of each, or more")
    means = [quotient(parts, count) for parts in found["sums"]]
    if names is not None:
        return result, tuple(found["columns"]), means
    if not -width <= target < width:
        raise ManifestError(f"target is {target}; the array has {width} columns", field="target")
    order = [*(index for index in range(width) if index != target % width), target % width]
    return result, tuple(order), [means[index] for index in order]


def _names(target: Any, features: Any) -> Columns:
    if isinstance(target, str):
        names = (None,) if features is None else tuple(columns("features", features))
        if target in names:
            raise ManifestError(f"the target {target!r} is among the features", field="features")
        return (*names, target)
    whole("target", target, -(10**6), 10**6)
    if features is not None:
        raise ManifestError("features are a table's, whose target is a name; of an array all other columns are", field="features")
    return None


def _shown(names: _Resolved) -> tuple[str, ...]:
    """The features' names, of a table."""
    return tuple(name for name in names[:-1] if isinstance(name, str))


def _combination(shown: tuple[str, ...], index: int) -> InputError:
    name = shown[index] if 0 <= index < len(shown) else "the intercept"
    return InputError(
        f"the feature {name} is a combination of the others, or constant: its coefficient could be anything",
        hint="leave it out, or give l2 above 0",
        feature=name,
    )

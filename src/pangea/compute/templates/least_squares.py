"""Least squares from exact sums of products, solved with 100 digits: no digit of the data is lost on the way.

Normal equations in floats lose twice the digits that the data's condition takes; an orthogonal decomposition, as that of
`numpy.linalg.lstsq`, once. With exact products and decimals of 100 digits the squared condition costs nothing that shows.
"""

from __future__ import annotations

import decimal
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pangea.compute.templates.solving import SingularError

_DIGITS = 100
#: Rows of which rounding is thought of, at least.
_ROWS_MIN = 1_000

Rows = list[list[Decimal]]


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted line, about the point that the products were taken about.

    Attributes:
        coefficients: of the features.
        intercept: at the point where all columns are zero.
        residual: the sum of the squared residuals.
        total: the sum of the target's squared distances from its mean.
        inverse: the diagonal of the inverse of the features' products about their means.
    """

    coefficients: tuple[float, ...]
    intercept: float
    residual: float
    total: float
    inverse: tuple[float, ...]


def fit(sums: Sequence[Sequence[float]], about: Sequence[float], penalty: float) -> Fit:
    """Fit a line.

    Args:
        sums: of the products of each pair of columns, as parts: of 1, the features, the target, less `about`; (0, 0), (0, 1), …
        about: what was taken from each column, the target's last.
        penalty: on the squares of the coefficients.

    Raises:
        SingularError: a feature is a combination of those before, as far as floats can tell; its index.
    """
    with decimal.localcontext(decimal.Context(prec=_DIGITS, Emin=-999_999, Emax=999_999)):
        width = len(about) + 1
        values = iter(sums)
        matrix: Rows = [[Decimal(0)] * width for _ in range(width)]
        for row in range(width):
            for column in range(row, width):
                matrix[row][column] = matrix[column][row] = sum(map(Decimal, next(values)), Decimal(0))
        return _fitted(matrix, [Decimal(each) for each in about], Decimal(penalty))


def _fitted(matrix: Rows, about: list[Decimal], penalty: Decimal) -> Fit:
    rows, size = matrix[0][0], len(about) - 1
    means = [each / rows for each in matrix[0][1:]]
    centred = [[matrix[i + 1][j + 1] - matrix[0][i + 1] * means[j] for j in range(size + 1)] for i in range(size + 1)]
    features = [row[:size] for row in centred[:size]]
    right = [row[size] for row in centred[:size]]
    penalised = [[each + penalty * (i == j) for j, each in enumerate(row)] for i, row in enumerate(features)]
    found, inverse = _solved(penalised, right, int(rows))
    explained = sum((a * b for a, b in zip(found, right, strict=True)), Decimal(0)) * 2
    explained -= sum((a * b * features[i][j] for i, a in enumerate(found) for j, b in enumerate(found)), Decimal(0))
    level = about[-1] + means[-1] - sum((c * (a + m) for c, a, m in zip(found, about, means, strict=False)), Decimal(0))
    return Fit(
        tuple(map(float, found)),
        float(level),
        max(float(centred[size][size] - explained), 0.0),
        float(centred[size][size]),
        tuple(float(each) for each in inverse),
    )


def _solved(matrix: Rows, right: list[Decimal], rows: int) -> tuple[list[Decimal], list[Decimal]]:
    """The solution, and the diagonal of the inverse, by Gauss and Jordan; a positive definite matrix needs no search for pivots.

    What is left of a column once those before are taken out is rounding if it is that small a share: `numpy.linalg.lstsq` has
    the same limit, eps times the number of rows, on singular values, whose squares these are.
    """
    size = len(matrix)
    limit = Decimal(sys.float_info.epsilon * max(rows, _ROWS_MIN)) ** 2
    norms = [matrix[index][index] for index in range(size)]
    wide = [
        [*row, value, *(Decimal(i == j) for j in range(size))] for i, (row, value) in enumerate(zip(matrix, right, strict=True))
    ]
    for pivot in range(size):
        line = wide[pivot]
        if line[pivot] <= limit * norms[pivot]:
            raise SingularError(pivot)
        line = wide[pivot] = [each / line[pivot] for each in line]
        for other in range(size):
            if other != pivot and (factor := wide[other][pivot]):
                wide[other] = [each - factor * part for each, part in zip(wide[other], line, strict=True)]
    return [row[size] for row in wide], [row[size + 1 + index] for index, row in enumerate(wide)]


def quality(found: Fit, rows: int, penalty: float) -> tuple[float, tuple[float, ...]]:
    """R squared, and the coefficients' standard errors: NaN with a penalty, or when there are no more rows than unknowns."""
    r2 = 1.0 - found.residual / found.total if found.total else math.nan
    freedom = rows - len(found.coefficients) - 1
    if penalty or freedom < 1:
        return r2, (math.nan,) * len(found.coefficients)
    return r2, tuple(math.sqrt(found.residual / freedom * max(each, 0.0)) for each in found.inverse)

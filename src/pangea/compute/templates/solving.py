"""Systems of linear equations that a regression ends in: symmetric, positive, and as small as there are features."""

from __future__ import annotations

from math import fsum, sqrt

Matrix = list[list[float]]

#: A pivot this much smaller than its diagonal is rounding, not a number.
_SMALL = 1e-13


class SingularError(ValueError):
    """The matrix isn't positive definite.

    Attributes:
        index: of the first row that is a combination of those before.
    """

    def __init__(self, index: int) -> None:
        super().__init__(f"row {index} is a combination of those before")
        self.index = index


def pairs_to_matrix(pairs: list[float], size: int) -> Matrix:
    """A symmetric matrix from its upper triangle, row by row."""
    values = iter(pairs)
    matrix = [[0.0] * size for _ in range(size)]
    for row in range(size):
        for column in range(row, size):
            matrix[row][column] = matrix[column][row] = next(values)
    return matrix


def solve(matrix: Matrix, right: list[float]) -> list[float]:
    """The solution of `matrix @ x = right`.

    Source: G. H. Golub, C. F. Van Loan, Matrix Computations, 2013, 4.2 (Cholesky), with the diagonal scaled to 1 first.

    Raises:
        SingularError: the matrix isn't positive definite.
    """
    scales, lower = _factor(matrix)
    return _solved(scales, lower, right)


def inverse_diagonal(matrix: Matrix) -> list[float]:
    """The diagonal of the inverse; infinite where the matrix isn't positive definite."""
    size = len(matrix)
    try:
        scales, lower = _factor(matrix)
    except SingularError:
        return [float("inf")] * size
    return [_solved(scales, lower, [float(row == index) for row in range(size)])[index] for index in range(size)]


def _factor(matrix: Matrix) -> tuple[list[float], Matrix]:
    """Square roots of the diagonal, and the Cholesky factor of what is left when rows and columns are divided by them."""
    size = len(matrix)
    scales = [sqrt(max(matrix[index][index], 0.0)) for index in range(size)]
    if 0.0 in scales:
        raise SingularError(scales.index(0.0))
    lower: Matrix = []
    for row in range(size):
        line: list[float] = []
        for column in range(row + 1):
            scaled = matrix[row][column] / scales[row] / scales[column]
            known = lower[column] if column < row else line
            rest = scaled - fsum(a * b for a, b in zip(line, known, strict=False))
            if column < row:
                line.append(rest / known[column])
            elif rest > _SMALL:
                line.append(sqrt(rest))
            else:
                raise SingularError(row)
        lower.append(line)
    return scales, lower


def _solved(scales: list[float], lower: Matrix, right: list[float]) -> list[float]:
    size = len(scales)
    middle: list[float] = []
    for row in range(size):
        known = fsum(a * b for a, b in zip(lower[row], middle, strict=False))
        middle.append((right[row] / scales[row] - known) / lower[row][row])
    found = [0.0] * size
    for row in reversed(range(size)):
        known = fsum(lower[below][row] * found[below] for below in range(row + 1, size))
        found[row] = (middle[row] - known) / lower[row][row]
    return [value / scale for value, scale in zip(found, scales, strict=True)]

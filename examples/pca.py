"""See 1,797 handwritten digits of 64 pixels in two dimensions: their principal components, in NumPy, compared with scikit-learn.

    pangea run examples/pca.py --verify --plot pca.png
    python examples/pca.py --plot pca.png

The sandbox has NumPy: of each chunk's rows it makes their sum and their products, merge adds those up, finds the directions
in which the digits differ most, and turns every digit to them. Pixels are whole numbers, so sums are exact however they are cut.
"""

import argparse
import sys

import numpy as np

from pangea.compute import Job, Result, submit_job
from pangea.compute.data import Table

DIMENSIONS = 2


@Job.define(operation_type="pca", max_chunk_size=256 * 1024)
def pca() -> None:
    """The input is an array, a digit in each row; the result a table of where each lies in the plane."""

    @Job.execute(input="array", output="array")
    def execute(rows: np.ndarray) -> np.ndarray:
        return np.vstack([rows, rows.sum(axis=0), rows.T @ rows])

    @Job.merge(output="table")
    def merge(arrays: list[np.ndarray]) -> Table:
        width = arrays[0].shape[1]
        rows = np.vstack([each[: -width - 1] for each in arrays])
        total, products = sum(each[-width - 1] for each in arrays), sum(each[-width:] for each in arrays)
        mean = total / len(rows)
        variances, directions = np.linalg.eigh(products / len(rows) - np.outer(mean, mean))
        main = directions[:, ::-1][:, :DIMENSIONS]
        main = main * np.sign(main[np.abs(main).argmax(axis=0), range(DIMENSIONS)])  # of two opposite directions, a fixed one
        places = (rows - mean) @ main
        share = variances[::-1][:DIMENSIONS] / variances.sum()
        named = {f"component {k + 1} ({share[k]:.1%})": places[:, k] for k in range(DIMENSIONS)}
        return Table.of(named)


@Job.inputs
def digits() -> np.ndarray:
    """The digits' pixels."""
    from sklearn.datasets import load_digits

    return np.asarray(load_digits().data)


@Job.check
def check(result: Result) -> str:
    """Compare with scikit-learn, whose directions may be the opposite ones."""
    from sklearn.decomposition import PCA

    found = result.as_frame().to_numpy()
    known = PCA(DIMENSIONS, svd_solver="full").fit_transform(digits())
    known = known * np.sign((known * found).sum(axis=0))
    assert np.allclose(found, known, rtol=0, atol=1e-9), "scikit-learn has other places"
    return f"equal to scikit-learn's, all {len(found):,} places, to 9 decimals"


def main() -> int:
    """Turn, draw, check, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", metavar="FILE", help="write the plane to this .png, .svg or .html")
    given = parser.parse_args()
    result = submit_job(pca, digits())
    if given.plot:
        from sklearn.datasets import load_digits

        from pangea.compute import visualize

        frame = result.as_frame()
        first, second = frame.columns
        frame["digit"] = load_digits().target.astype(str)
        visualize(frame, "scatter", x=first, y=second, color="digit", title="Handwritten digits in a plane").save(given.plot)
    print(check(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())

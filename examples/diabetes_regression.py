"""Which of ten measurements tell how diabetes went on a year later? A linear regression, compared with scikit-learn.

    python examples/diabetes_regression.py --plot coefficients.png

The measurements of 442 patients come standardised with scikit-learn: each coefficient says by how many points the disease's
measure changes with one standard deviation of the measurement times the square root of 442.
"""

import argparse
import sys

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from pangea.compute import templates

NAMES = {
    "s1": "total cholesterol",
    "s2": "LDL",
    "s3": "HDL",
    "s4": "cholesterol / HDL",
    "s5": "triglycerides",
    "s6": "blood sugar",
}


def main() -> int:
    """Fit, draw, check, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", metavar="FILE", help="write the coefficients to this .png, .svg or .html")
    given = parser.parse_args()
    table = load_diabetes(as_frame=True).frame.rename(columns=NAMES)
    model = templates.linear_regression(table, target="target")
    for name, coefficient, error in zip(model.features, model.coefficients, model.errors, strict=True):
        print(f"{name:>20} {coefficient:8.1f} ± {error:.1f}")
    print(f"{model.rows} patients; the line explains {model.r2:.1%} of the variance")
    if given.plot:
        from pangea.compute import visualize

        title = "Diabetes a year later: what tells it"
        visualize(model, "coefficients", title=title, x_label="change of the disease's measure", unit="points").save(given.plot)
    known = LinearRegression().fit(table.drop(columns="target"), table["target"])
    is_equal = np.allclose(model.coefficients, known.coef_, rtol=1e-9) and np.isclose(
        model.intercept, known.intercept_, rtol=1e-9
    )
    print(f"coefficients and intercept are {'equal to' if is_equal else 'NOT'} scikit-learn's")
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())

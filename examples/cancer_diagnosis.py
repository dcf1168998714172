"""Benign or malignant? A logistic regression of 569 breast tumours, compared with scikit-learn.

    python examples/cancer_diagnosis.py --plot confusion.png

Five of the measurements that come with scikit-learn, standardised; a penalty of 1 on half the coefficients' squares (C = 1).
"""

import argparse
import sys

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix

from pangea.compute import templates

FEATURES = ["mean radius", "mean texture", "mean smoothness", "mean concave points", "mean symmetry"]


def main() -> int:
    """Fit, draw, check, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", metavar="FILE", help="write the confusion matrix to this .png, .svg or .html")
    given = parser.parse_args()
    table = load_breast_cancer(as_frame=True).frame[[*FEATURES, "target"]].copy()
    table[FEATURES] = (table[FEATURES] - table[FEATURES].mean()) / table[FEATURES].std()
    model = templates.logistic_regression(table, target="target", l2=1.0)
    for name, coefficient, error in zip(model.features, model.coefficients, model.errors, strict=True):
        print(f"{name:>20} {coefficient:7.3f} ± {error:.3f} log-odds of being benign")
    guesses = np.asarray(model.predict(table[FEATURES].to_numpy())) > 0.5
    confusion = confusion_matrix(table["target"], guesses)
    print(f"{confusion.trace()} of {len(table)} tumours are told right, after {model.rounds} rounds")
    if given.plot:
        from pangea.compute import visualize

        visualize(
            confusion, "confusion", labels=["malignant", "benign"], title="Tumours: what they are, and what they were said to be"
        ).save(given.plot)
    known = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(table[FEATURES], table["target"])
    is_equal = np.allclose(model.coefficients, known.coef_[0], atol=1e-4) and np.isclose(
        model.intercept, known.intercept_[0], atol=1e-4
    )
    print(f"coefficients and intercept are {'equal to' if is_equal else 'NOT'} scikit-learn's, to four places")
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())

"""Sort 1,797 handwritten digits into ten clusters, draw the clusters' centres as pictures, and compare with scikit-learn.

python examples/digits_kmeans.py --plot centroids.png

Both start from the same ten digits, so that they must find the same clusters.
"""

import argparse
import sys

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_digits

from pangea.compute import templates

CLUSTERS = 10


def main() -> int:
    """Cluster, draw, check, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", metavar="FILE", help="write the centres to this .png, .svg or .html")
    parser.add_argument("--seed", type=int, default=0, help="another one starts from other digits [default: 0]")
    given = parser.parse_args()
    digits = load_digits()
    start, _ = kmeans_plusplus(digits.data, CLUSTERS, random_state=given.seed)
    model = templates.kmeans(digits.data, CLUSTERS, init=start)
    labels = model.labels(digits.data)
    tasks, fuel = sum(report.tasks for report in model.reports), sum(report.fuel for report in model.reports)
    print(f"{len(digits.data):,} digits in {CLUSTERS} clusters after {model.rounds} rounds, {tasks} tasks, {fuel:,} fuel")
    usual = [int(np.bincount(digits.target[labels == cluster], minlength=10).argmax()) for cluster in range(CLUSTERS)]
    if given.plot:
        from pangea.compute import visualize

        names = [f"{digit} ({count})" for digit, count in zip(usual, model.counts, strict=True)]
        centres = np.asarray(model.centroids).reshape(CLUSTERS, 8, 8)
        visualize(centres, "images", labels=names, title="Handwritten digits: the centres of ten clusters").save(given.plot)
    same = sum(int((digits.target[labels == cluster] == digit).sum()) for cluster, digit in enumerate(usual))
    print(f"{same / len(labels):.1%} of the digits are what most digits of their cluster are")
    known = KMeans(CLUSTERS, init=start, n_init=1, max_iter=1000, tol=0.0, algorithm="lloyd").fit(digits.data)
    is_equal = np.array_equal(labels, known.labels_) and np.allclose(model.centroids, known.cluster_centers_, rtol=0, atol=1e-9)
    print(f"labels and centres are {'equal to' if is_equal else 'NOT'} scikit-learn's")
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())

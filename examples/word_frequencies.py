"""The most frequent words of scikit-learn's descriptions of its data sets, as a bar chart; compared with Python's own Counter.

python examples/word_frequencies.py --plot words.png
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

import sklearn.datasets

from pangea.compute import submit_job, templates


def main() -> int:
    """Count, draw, check, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", metavar="FILE", help="write a bar chart to this .png, .svg or .html")
    given = parser.parse_args()
    texts = sorted((Path(sklearn.datasets.__file__).parent / "descr").glob("*.rst"))
    result = submit_job(templates.word_counts(), texts)
    counts = Counter(result.value)
    long_words = Counter({word: count for word, count in counts.items() if len(word) > 3})
    for word, count in long_words.most_common(10):
        print(f"{count:5,}  {word}")
    if given.plot:
        from pangea.compute import visualize

        title = f"Frequent words in {len(texts)} descriptions of data sets"
        visualize(dict(long_words.most_common(20)), title=title, x_label="word", y_label="occurrences").save(given.plot)
    expected = Counter(word for text in texts for word in re.findall(r"\w+(?:['’]\w+)*", text.read_text().casefold()))
    is_equal = counts == expected
    print(f"{counts.total():,} words, {len(counts):,} different ones: {'equal to' if is_equal else 'NOT'} collections.Counter's")
    print(result.report)
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())

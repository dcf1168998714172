"""Count the letters of UTF-8 texts, whatever the alphabet; the answer is a JSON object.

    pangea run examples/letter_frequency.py --input FILE [FILE ...]
    python examples/letter_frequency.py

There is no split function: a chunk is what the host cut, whole lines of up to 1 MiB.
"""

import json
import sysconfig
from collections import Counter
from pathlib import Path

from pangea.compute import Job, submit_job


def to_json(counts: Counter[str]) -> bytes:
    """The counts with sorted keys, so that equal counts are equal bytes."""
    return json.dumps(counts, sort_keys=True, ensure_ascii=False).encode()


@Job.define(split_strategy="row_based")
def letter_frequency() -> None:
    """Upper and lower case are counted together."""

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        characters = Counter(chunk.decode(errors="replace").lower())
        return to_json(Counter({character: n for character, n in characters.items() if character.isalpha()}))

    @Job.merge(associative=True)
    def merge(results: list[bytes]) -> bytes:
        total: Counter[str] = Counter()
        for result in results:
            total.update(json.loads(result))
        return to_json(total)


if __name__ == "__main__":
    licenses = Path("/usr/share/common-licenses")
    folder, pattern = (licenses, "*") if licenses.is_dir() else (Path(sysconfig.get_paths()["stdlib"]), "*.py")
    texts = sorted(path for path in folder.glob(pattern) if path.is_file())
    result = submit_job(letter_frequency, input_data=texts)
    counts = Counter(json.loads(result))
    for letter, count in counts.most_common(10):
        print(f"{letter}  {count / counts.total():6.2%}  {'#' * round(200 * count / counts.total())}")
    print(result.report)

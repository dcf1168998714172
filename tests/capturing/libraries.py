"""The standard library: what it makes of values is the same there."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import re
import sys
from typing import Any

from tests.capturing import Cases, Look

CASES = Cases()


@CASES
def patterns() -> Look:
    word = re.compile(r"(?P<word>[a-z]+)\b", re.IGNORECASE | re.ASCII)
    kept = [word, re.compile(rb"\d+"), re.compile("(?x) a b")]
    return lambda: (word.sub("X", "Ab é cd"), word.flags, kept[1].findall(b"1 22"), kept[2].match("ab"), word.groupindex["word"])


@CASES
def scanners_of_words() -> Look:
    rules = [(r"\d+", lambda _, text: int(text)), (r"[a-z]+", lambda _, text: text.upper()), (r"\s+", None)]
    kept: Any = vars(re)["Scanner"](rules, re.IGNORECASE)
    return lambda: (kept.scan("12 aB 3!"), kept.scanner.flags, len(kept.lexicon))


@CASES
def compressed_files_that_are_read_whole() -> Look:
    packed = [gzip.compress(b"zipped", mtime=0), bz2.compress(b"squeezed")]
    return lambda: (gzip.GzipFile(fileobj=io.BytesIO(packed[0])).read(), bz2.BZ2File(io.BytesIO(packed[1])).read())


@CASES
def fields_of_any_length() -> Look:
    row = "x" * 200_000

    def look() -> Any:
        before = csv.field_size_limit(sys.maxsize)
        try:
            return csv.field_size_limit() == sys.maxsize, len(next(csv.reader([row]))[0]), before
        finally:
            csv.field_size_limit(before)

    return look
